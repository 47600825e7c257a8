"""Processes of a node take up what was applied while they run."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from node.config.running import load_running
from node.config.settings import Settings
from node.config.versions import VersionStore
from node.domain.errors import SetupFault
from node.durable import write_durably
from node.telemetry.log import change_level

log = structlog.get_logger()

LOOK_INTERVAL_S = 0.5
FOLLOWERS = ("listener", "dispatcher")
"""Processes that take it up at once; workers do with their next job."""


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What a process made of a version.

    Parameters
    ----------
    number : int
        The latest version that it looked at.
    refused : str
        Why it still works by an earlier one; empty if it does not.
    """

    number: int
    refused: str


class ConfigFollower:
    """Looks whether another version was applied, and hands its settings on.

    Parameters
    ----------
    store : VersionStore
    role : str
        Name of the process.
    number : int
        Version that the process works by.
    take_up : callable
        Gets the settings in effect; raises SetupFault, and changes nothing, if it cannot.
    """

    def __init__(
        self, store: VersionStore, role: str, number: int, take_up: Callable[[Settings], object]
    ) -> None:
        self._store = store
        self._role = role
        self._number = number
        self._take_up = take_up
        self._stop = threading.Event()

    def start(self) -> None:
        """Say which version the process works by, and look for others in a thread."""
        self._tell(Taken(number=self._number, refused=""))
        threading.Thread(target=self._follow, name="configuration", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()

    def look(self) -> Taken | None:
        """Take up what was applied since the last look; None if nothing was."""
        try:
            number = self._store.current_number
        except (OSError, SetupFault) as error:  # the next look tries again
            log.warning("config.not_read", error=type(error).__name__)
            return None
        if number is None or number == self._number:
            return None
        refused = ""
        try:
            running = load_running(self._store)
            number = running.version.number
            self._take_up(running.settings)
            change_level(running.settings.node.log.level)
            log.info("config.taken_up", version=number)
        except (OSError, SetupFault) as fault:
            refused = str(fault)
            log.error("config.refused", version=number, reason=refused)
        self._number = number
        return Taken(number=number, refused=refused)

    def _follow(self) -> None:
        while not self._stop.wait(LOOK_INTERVAL_S):
            taken = self.look()
            if taken is not None:
                self._tell(taken)

    def _tell(self, taken: Taken) -> None:
        content = json.dumps({"number": taken.number, "refused": taken.refused})
        try:
            write_durably(_place(self._store, self._role), content.encode())
        except OSError as error:  # a full disk: only the answer to `config apply` is missing
            log.warning("config.not_told", error=type(error).__name__)


def read_taken(store: VersionStore, role: str) -> Taken | None:
    """Return what a process said last, None if nothing."""
    try:
        said = json.loads(_place(store, role).read_text("utf-8"))
        return Taken(number=said["number"], refused=said["refused"])
    except (FileNotFoundError, ValueError, KeyError):
        return None


def _place(store: VersionStore, role: str) -> Path:
    return store.folder / f"taken-{role}.json"
