"""A cure for lost answers: pynetdicom's reactor, held while a request waits for its answer.

pynetdicom 3.0 calls its reactor paused just before the reactor looks whether it shall pause. A
request in that moment goes out while the reactor is on its way to the queue of answers; on a busy
machine it takes the answer, and whoever waits for it waits until the timeout.
"""

import threading

from pynetdicom.association import Association

LOOK_S = 0.01


class Checkpoint(threading.Event):
    """What a reactor waits for in each of its rounds; ``clear`` returns when it does wait.

    Parameters
    ----------
    association : Association
        Established, as requestor.
    """

    def __init__(self, association: Association) -> None:
        super().__init__()
        self._association = association
        self._changed = threading.Condition()
        self._is_open = True
        self._is_held = False

    def is_set(self) -> bool:
        """Whether the reactor may run."""
        return self._is_open

    def set(self) -> None:
        """Let the reactor run."""
        with self._changed:
            self._is_open, self._is_held = True, False
            self._changed.notify_all()

    def clear(self) -> None:
        """Hold the reactor; return when it is held, or has ended."""
        with self._changed:
            self._is_open = False
            while not self._is_held and self._is_running():
                self._changed.wait(LOOK_S)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the reactor may run; the reactor alone calls this."""
        with self._changed:
            while not self._is_open:
                self._is_held = True
                self._changed.notify_all()
                if not self._changed.wait(timeout):
                    return False
        return True

    def _is_running(self) -> bool:
        return self._association.is_alive() and not self._association._kill


def hold_reactor_for_answers(association: Association) -> None:
    """Let no request of an established association leave before its reactor is held."""
    association._reactor_checkpoint = Checkpoint(association)
