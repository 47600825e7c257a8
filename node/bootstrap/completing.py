"""Whom the assembler asks how much of a study there is, and who sends what is missing."""

from collections.abc import Mapping

import structlog

from node.assemble.completeness import AskCounts, FetchMissing
from node.bootstrap.asking import archive_of, counter_of, fetch_to_node
from node.bootstrap.parts import Parts
from node.config.settings import Peer
from node.domain.errors import OncoNodeError
from node.query.found import Wanted

log = structlog.get_logger()


def count_asker(parts: Parts) -> AskCounts:
    """Return what asks the archives of the settings of now; without any, nobody can tell."""

    def ask(study_instance_uid: str) -> Mapping[str, int] | None:
        for peer in _peers(parts):
            try:
                counts = counter_of(parts.settings, peer)(study_instance_uid)
            except OncoNodeError as error:
                log.warning("counts.unknown", peer=peer.name, error=str(error))
                continue
            if counts:  # an archive that does not know the study proves nothing
                return counts
        return None

    return ask


def missing_fetcher(parts: Parts) -> FetchMissing:
    """Return what has missing images sent, as far as the settings of now allow it."""

    def fetch(study_instance_uid: str, missing: Mapping[str, int]) -> bool:
        way = parts.settings.node.assemble.fetch_missing
        peers = _peers(parts) if way != "never" else []
        for peer in peers:
            try:
                fetched = [
                    fetch_to_node(parts.settings, peer, wanted, by_get=way == "get")
                    for wanted in _lacking(parts, peer, study_instance_uid, missing)
                ]
            except OncoNodeError as error:
                log.warning("missing.not_fetched", peer=peer.name, error=str(error))
                continue
            if any(item.completed for item in fetched):
                return True
        return False

    return fetch


def _lacking(
    parts: Parts, peer: Peer, study_instance_uid: str, missing: Mapping[str, int]
) -> list[Wanted]:
    """Only what is not there: archives may send the rest changed, which would be refused."""
    received = parts.store.received_of(study_instance_uid)
    here = {item.instance.sop_instance_uid for item in received}
    archive = archive_of(parts.settings, peer)
    wanted = []
    for series in missing:
        found = archive.find_instances(study_instance_uid, series)
        lacking = tuple(
            item.sop_instance_uid for item in found if item.sop_instance_uid not in here
        )
        if lacking:
            wanted.append(
                Wanted(
                    study_instance_uid=study_instance_uid,
                    series_instance_uid=series,
                    sop_instance_uids=lacking,
                )
            )
    return wanted


def _peers(parts: Parts) -> list[Peer]:
    """Peers to ask, as far as peers.yaml has them."""
    by_name = {peer.name: peer for peer in parts.settings.peers}
    names = parts.settings.node.assemble.ask_peers
    return [by_name[name] for name in names if name in by_name]
