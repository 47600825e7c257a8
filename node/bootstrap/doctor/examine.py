"""The whole sheet, in the order in which a person would look."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from node.bootstrap.doctor.clocks import check_own_clock
from node.bootstrap.doctor.own import (
    check_certificates,
    check_configuration,
    check_disk,
    check_folders,
    check_models,
    check_port,
    open_ledger,
)
from node.bootstrap.doctor.peers import check_peer, use_of
from node.bootstrap.doctor.round_trip import run_phantom
from node.bootstrap.doctor.sheet import PHANTOM, Line, Mark
from node.bootstrap.doctor.titles import check_titles
from node.bootstrap.parts import Parts
from node.config.settings import Peer, Settings
from node.domain.errors import OncoNodeError


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is to be tried.

    Parameters
    ----------
    peer : Peer, optional
        Only this one, and nothing of the node itself.
    send : bool
        Store test objects in peers that get results, and in the named one.
    golden : bool
        Run the golden input of the bundles.
    phantom : bool
        Send a sample study through the running node.
    sender : str
        AE title that it comes from; empty: one that may.
    phantom_timeout_s : float
    """

    peer: Peer | None = None
    send: bool = True
    golden: bool = True
    phantom: bool = False
    sender: str = ""
    phantom_timeout_s: float = 600


def examine(
    settings: Settings,
    config_dir: Path,
    wish: Wish,
    *,
    folder: Path,
    progress: Callable[[str], None] = lambda _: None,
) -> Iterator[Line]:
    """Try everything, a line for each thing.

    Parameters
    ----------
    settings : Settings
    config_dir : Path
        That they come from.
    wish : Wish
    folder : Path
        Temporary, for what is sent and what comes back.
    progress : callable
        Told what is waited for.
    """
    parts = Parts(settings=settings)
    engine, database = open_ledger(settings)
    try:
        if wish.peer is None:
            progress("the node")
            yield from check_configuration(settings, config_dir)
            yield from check_folders(settings.node)
            yield check_disk(parts)
            yield database
            yield check_port(parts)
            yield from check_certificates(settings)
            yield check_own_clock()
            yield from check_titles(settings, config_dir, engine)
            progress("model bundles")
            yield from check_models(parts, golden=wish.golden)
        for peer in settings.peers if wish.peer is None else (wish.peer,):
            progress(f"peer {peer.name}")
            use = use_of(peer, settings, is_named=wish.peer is not None, send=wish.send)
            yield from check_peer(peer, settings, use, folder=folder, engine=engine)
    finally:
        if engine is not None:
            engine.dispose()
    if wish.phantom:
        yield from _try_phantom(parts, wish, folder, progress)


def _try_phantom(
    parts: Parts, wish: Wish, folder: Path, progress: Callable[[str], None]
) -> Iterator[Line]:
    try:
        yield from run_phantom(
            parts,
            sender=wish.sender,
            timeout_s=wish.phantom_timeout_s,
            folder=folder,
            progress=progress,
        )
    except OncoNodeError as error:
        yield Line(
            about=PHANTOM, check="phantom", mark=Mark.FAIL, tried="the node's ledger",
            found=str(error), remedy="see the line about the database",
        )  # fmt: skip
    finally:
        if "engine" in vars(parts):
            parts.engine.dispose()
