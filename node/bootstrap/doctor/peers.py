"""Everything that is tried with one peer, in the order in which one thing needs another."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from node.bootstrap.doctor.clocks import check_skew
from node.bootstrap.doctor.reach import check_echo, check_tcp, check_tls, uses_dimse
from node.bootstrap.doctor.receivers import check_receiver
from node.bootstrap.doctor.sheet import Line, Mark
from node.bootstrap.doctor.storing import (
    LOOK_INTERVAL_S,
    check_commitment,
    check_found,
    check_negotiation,
    check_store,
    check_web,
)
from node.bootstrap.doctor.titles import check_callers
from node.config.settings import Peer, Settings
from node.dicom.commitment import STORAGE_COMMITMENT
from node.emulate.marked_results import write_marked_results
from node.storage.associations import AssociationStore

COMMITMENT_WAIT_S = 15.0


@dataclass(frozen=True, kw_only=True)
class Use:
    """What the node uses a peer for, which says how bad it is when something fails.

    Parameters
    ----------
    gets_results : bool
        A rule sends results to it.
    is_called : bool
        The node calls it at all, or a person named it: it should be there.
    sends_test : bool
        Test objects are stored in it.
    """

    gets_results: bool
    is_called: bool
    sends_test: bool


def use_of(peer: Peer, settings: Settings, *, is_named: bool, send: bool) -> Use:
    """Return what a peer is used for.

    Test objects go to peers that get results anyhow, and to one that a person named.
    """
    gets_results = any(peer.name in rule.destinations for rule in settings.routing)
    asked = {*settings.node.assemble.ask_peers, *settings.node.priors.look_in}
    is_called = gets_results or is_named or peer.name in asked
    return Use(
        gets_results=gets_results,
        is_called=is_called,
        sends_test=send and (gets_results or is_named),
    )


def check_peer(
    peer: Peer,
    settings: Settings,
    use: Use,
    *,
    folder: Path,
    engine: Engine | None,
    commitment_wait_s: float = COMMITMENT_WAIT_S,
) -> Iterator[Line]:
    """Try a peer; what cannot succeed any more is left out and told.

    Parameters
    ----------
    peer : Peer
    settings : Settings
    use : Use
    folder : Path
        For the test objects.
    engine : Engine, optional
        Of the node's ledger, where associations are recorded.
    commitment_wait_s : float
        How long an answer may take on an association that the peer opens.
    """
    line = check_tcp(peer)
    if line.mark is Mark.FAIL:
        yield from _unreachable(line, use)
        return
    yield line
    if peer.takes_messages:
        if peer.hl7:
            yield from check_tls(peer, warn_days=settings.node.tls.warn_days)
        yield check_receiver(peer, settings)
        return
    if uses_dimse(peer):
        told = [*check_tls(peer, warn_days=settings.node.tls.warn_days), check_echo(peer, settings)]
        yield from told
        if any(each.mark is Mark.FAIL and each.check in ("TLS", "C-ECHO") for each in told):
            yield _rest(peer, "there is no association")
            return
    if peer.dicomweb is None or not peer.dicomweb.store:
        yield check_negotiation(peer, settings, gets_results=use.gets_results)
    yield from check_web(peer, settings)
    yield check_skew(peer)
    clash = check_callers(peer, engine)
    if clash is not None:
        yield clash
    yield from _keeps(peer, settings, use, folder, engine, commitment_wait_s)


def _keeps(  # noqa: PLR0917 - handed on as they came
    peer: Peer, settings: Settings, use: Use, folder: Path, engine: Engine | None, wait_s: float
) -> Iterator[Line]:
    if not use.sends_test:
        why = "no rule sends results to it" if not use.gets_results else "--no-send"
        yield Line(
            about=peer.name, check="store", mark=Mark.SKIP, tried="nothing",
            found=f"no test object was sent: {why}",
        )  # fmt: skip
        return
    moment = datetime.now(UTC)
    results = write_marked_results(
        folder / peer.name,
        study=settings.node.ae_title,
        run=f"{peer.name} {moment.isoformat()}",
        settings=settings.node.report,
    )
    store = check_store(peer, settings, results)
    yield store
    if not store.stored:
        yield _rest(peer, "nothing was stored")
        return
    yield check_found(peer, settings, results, store.stored)

    def answer_came(seconds: float) -> str:
        return _wait_for_answer(peer, engine, since=moment, wait_s=seconds)

    yield check_commitment(
        peer, settings, results, store.stored, answer_came=answer_came, wait_s=wait_s
    )


def _wait_for_answer(peer: Peer, engine: Engine | None, *, since: datetime, wait_s: float) -> str:
    """Wait for an association of the peer at the running node that proposes commitment.

    The node's listener takes the answer and finds no request of its own, so what it says is lost.
    """
    if engine is None:
        return ""
    store = AssociationStore(engine)
    deadline = time.monotonic() + wait_s
    while True:
        try:
            records = store.list(limit=50, ae_title=peer.ae_title)
        except SQLAlchemyError:
            return ""
        for record in records:
            classes = {each for several in record.accepted.values() for each in several}
            if record.started_at >= since and STORAGE_COMMITMENT in classes:
                return f"answered on an association of its own, from {record.address}"
        if time.monotonic() > deadline:
            return ""
        time.sleep(LOOK_INTERVAL_S)  # the ledger of another process; the deadline bounds this


def _unreachable(line: Line, use: Use) -> Iterator[Line]:
    if use.is_called:
        yield line
    else:
        yield Line(
            about=line.about, check=line.check, mark=Mark.SKIP, tried=line.tried,
            found=f"{line.found}; the node never calls it: it only sends",
        )  # fmt: skip
    yield Line(
        about=line.about, check="everything else", mark=Mark.SKIP, tried="nothing",
        found="there is no connection",
    )  # fmt: skip


def _rest(peer: Peer, why: str) -> Line:
    return Line(
        about=peer.name, check="everything else", mark=Mark.SKIP, tried="nothing", found=why
    )
