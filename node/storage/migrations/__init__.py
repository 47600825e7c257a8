"""Alembic migrations; ``storage.migrate`` runs them, nobody calls Alembic's command line."""
