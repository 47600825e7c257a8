"""Let a child process die with its parent, also when the parent is killed.

The parent gives each child the reading end of a pipe as standard input and keeps the other end.
Whatever ends the parent closes it, and the child sees end of file. On Linux the kernel is asked
to kill the child as well, which works even while foreign code holds the interpreter's lock.
"""

import ctypes
import os
import signal
import stat
import sys
import threading

PR_SET_PDEATHSIG = 1
PARENT_GONE = 70
"""Exit status of a child whose parent is gone; nobody is left to read it but ``ps`` and traces."""


def watch_parent(*, lifeline_fd: int = 0) -> bool:
    """End this process within moments after its supervisor ends.

    Call it first thing in a child, in its main thread. All work is safe to cut off, since the
    ledger and the spool survive it.

    Parameters
    ----------
    lifeline_fd : int
        Reading end of the pipe that the supervisor holds open.

    Returns
    -------
    bool
        False when no supervisor gave a pipe (the process was started by hand): nothing is watched.
    """
    if not stat.S_ISFIFO(os.fstat(lifeline_fd).st_mode):
        return False
    if sys.platform == "linux":
        # Bound to the parent's thread that forked us: the supervisor forks where it waits.
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # A parent that died before prctl has closed the pipe: the thread sees that at once.
    watcher = threading.Thread(target=_die_at_end_of_file, args=(lifeline_fd,), daemon=True)
    watcher.name = "lifeline"
    watcher.start()
    return True


def _die_at_end_of_file(fd: int) -> None:
    while os.read(fd, 512):
        pass
    os._exit(PARENT_GONE)
