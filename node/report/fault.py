"""The error of this room."""


class ReportFault(RuntimeError):
    """A result contradicts what it was made from and must never be sent.

    This is no ``OncoNodeError``: neither the input nor the surroundings are to blame, so it is a
    bug and is treated as one.
    """
