"""Corrections that lie in an archive are asked for: a real Orthanc, C-FIND, C-MOVE and C-GET."""

from datetime import timedelta
from pathlib import Path

import pytest
from delivered_study import delivered_study
from factories_opinions import write_human_seg
from free_ports import free_port
from peers_orthanc import running_orthanc

from node.bootstrap.asking_feedback import FeedbackAsker
from node.config.settings import Peer
from node.storage.clock import utc_now


def as_peer(orthanc: Peer, feedback: str) -> Peer:
    return Peer(name="pacs", ae_title=orthanc.ae_title, port=orthanc.port, feedback=feedback)


def test_corrections_in_an_archive_are_fetched_once(tmp_path: Path) -> None:
    port = free_port()
    with running_orthanc(tmp_path / "orthanc", modalities={"node": ("ONCONODE", port)}) as orthanc:
        peers = (as_peer(orthanc.peer, "move"),)
        with delivered_study(tmp_path, peers, port) as site:
            path = tmp_path / "human.dcm"
            uid = write_human_seg(path, site.series, [site.labels == 1])
            for each in (*site.series.paths, path, site.result("seg"), site.result("sr")):
                orthanc.add_file(each)
            later = utc_now() + timedelta(hours=2)
            asker = FeedbackAsker(site.parts, now=lambda: later)
            assert asker.tick() == 1  # and none of the node's own results
            (each,) = site.hear()
            assert each.opinion.sop_instance_uid == uid
            site.assemble()
            assert [job.job_id for job in site.parts.ledger.list()] == [site.job.job_id]
            assert FeedbackAsker(site.parts, now=lambda: later).tick() == 0
            assert asker.tick() == 0


def test_who_is_asked_and_when(tmp_path: Path) -> None:
    """Not before the time has come, not after the last day, and nobody who was not named."""
    port = free_port()
    with running_orthanc(tmp_path / "orthanc", modalities={"node": ("ONCONODE", port)}) as orthanc:
        peers = (as_peer(orthanc.peer, "get"),)
        with delivered_study(tmp_path, peers, port) as site:
            path = tmp_path / "human.dcm"
            write_human_seg(path, site.series, [site.labels == 1])
            orthanc.add_file(path)
            now = utc_now()
            early = FeedbackAsker(site.parts, now=lambda: now + timedelta(minutes=59))
            late = FeedbackAsker(site.parts, now=lambda: now + timedelta(days=31))
            assert (early.tick(), late.tick()) == (0, 0)
            silent = as_peer(orthanc.peer, "off")
            site.parts.take_up(site.parts.settings.model_copy(update={"peers": (silent,)}))
            asker = FeedbackAsker(site.parts, now=lambda: now + timedelta(hours=2))
            assert asker.tick() == 0
            site.parts.take_up(site.parts.settings.model_copy(update={"peers": peers}))
            assert asker.tick() == 1


@pytest.mark.parametrize(
    ("keys", "asked"),
    [
        ({"ask_every_s": 600}, True),
        ({"ask_every_s": 600, "ask_days": 0.02}, False),  # half an hour is 0.0208 days
        ({"ask_every_s": 2000}, False),
    ],
)
def test_how_often_and_how_long_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: dict[str, float], asked: bool
) -> None:
    silent = Peer(name="pacs", ae_title="NOBODY", port=1, feedback="get")
    with delivered_study(tmp_path, (silent,)) as site:
        node = site.parts.settings.node
        feedback = node.feedback.model_copy(update=keys)
        node = node.model_copy(update={"feedback": feedback})
        site.parts.take_up(site.parts.settings.model_copy(update={"node": node}))
        studies: list[str] = []
        monkeypatch.setattr(
            FeedbackAsker, "_ask", lambda _, study, _peer: studies.append(study) or 0
        )
        half_an_hour_on = utc_now() + timedelta(minutes=30)
        FeedbackAsker(site.parts, now=lambda: half_an_hour_on).tick()
        assert bool(studies) is asked


def test_an_archive_is_asked_though_another_has_not_got_the_result_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    peers = [Peer(name=name, ae_title="NOBODY", port=1, feedback="get") for name in ("pacs", "b")]
    with delivered_study(tmp_path, tuple(peers), destinations=("pacs", "b")) as site:
        asked: list[str] = []
        monkeypatch.setattr(
            FeedbackAsker, "_ask", lambda _, _study, peer: asked.append(peer.name) or 0
        )
        later = utc_now() + timedelta(hours=2)
        FeedbackAsker(site.parts, now=lambda: later).tick()
        assert asked == ["pacs"]


def test_an_archive_that_is_away_is_asked_later(tmp_path: Path) -> None:
    away = Peer(name="pacs", ae_title="NOBODY", port=1, feedback="get")
    with delivered_study(tmp_path, (away,)) as site:
        later = utc_now() + timedelta(hours=2)
        assert FeedbackAsker(site.parts, now=lambda: later).tick() == 0
        assert site.hear() == ()
