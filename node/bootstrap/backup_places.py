"""What stands where in a backup: one table for those who write it and those who read it."""

DATABASE, CONFIG, MODELS, DATA = "database", "config", "models", "data"

SQLITE_COPY = "onconode.db"
POSTGRESQL_DUMP = "onconode.dump"

AUDIT, CONFIGURATION = "audit", "configuration"
HISTORIES = (AUDIT, CONFIGURATION)
"""Folders of ``data_dir`` that only ever grow; where there is one, a restore leaves it alone."""

FEEDBACK = "feedback"
SPOOLED = ("objects", "results", FEEDBACK)
"""Folders of ``data_dir`` with what is not delivered yet, and with what people said of results."""

NO_DATABASE = "none"

UNFINISHED = "restore-unfinished"
"""File in ``data_dir`` while a restore is under way: a node must not start on half of one."""
