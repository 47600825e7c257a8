"""Objects arrive by C-STORE, are made safe on disk and in the ledger, and are then answered.

``scp`` listens, plain and over TLS; ``admission`` says who may associate and ``contexts`` for what,
``reception`` stands at the door, and ``association_log`` keeps a record of everybody who called;
``transport``, ``bounded_socket`` and ``streaming`` carry the bytes from the socket to a temp file
without decoding them; ``identify`` and ``header`` read the
few identifiers that are needed and prove that nothing is missing; ``c_store`` decides, and
``group_commit`` lets associations share its commits; ``problems`` and ``status`` are the faults
and their DIMSE statuses; ``recovery`` finishes at start what a crash left unfinished.
"""
