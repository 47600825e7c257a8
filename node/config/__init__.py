"""Settings: the only room that reads configuration files and the environment."""
