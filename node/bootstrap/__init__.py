"""Composition root: the only place where the parts of the node are wired together."""
