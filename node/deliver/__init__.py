"""Results leave for the archives: C-STORE with per-object outcomes, C-ECHO, and the outbox.

One refused object never fails a batch; what a status means for the next attempt stands in one
table, ``status.py``; ``calling`` is TLS, and what a peer accepted; a peer that cannot be reached
raises ``TryLater``.
"""
