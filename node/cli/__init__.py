"""The command line: a manual that runs.

One file per command group. A command parses, calls one function of the room that does the work,
and prints; errors become exit codes in one place (``app.main``). What is slow to import
(TensorFlow, Dask, pynetdicom) is imported inside the commands that need it.
"""

from node.cli.app import main

__all__ = ["main"]
