"""Objects arrive by C-STORE, are made safe on disk and in the ledger, and are then answered.

``scp`` listens; ``negotiation`` says whom it accepts, ``contexts`` what; ``transport`` and
``streaming`` carry the bytes from the socket to a temp file without decoding them; ``header``
reads the few identifiers that are needed; ``c_store`` decides; ``status`` is the one table of
faults and DIMSE statuses; ``recovery`` finishes after a crash what was not finished before it.
"""
