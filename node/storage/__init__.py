"""What survives a power cut: the spool of received files and the SQL database with its migrations.

``database`` opens SQLite or PostgreSQL and brings the schema up to date, ``tables`` names every
table, ``instances`` records what was received, ``associations`` who called, ``negotiations`` what
peers accepted, ``spool`` keeps the bytes. Higher rooms meet the
database only through the stores and the job ledger.
"""
