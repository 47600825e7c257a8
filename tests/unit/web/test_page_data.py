"""What pages tell: planes, bundles, drift by source, names of persons."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from factories_ledger import queue_job

from node.classify.projection import Projection
from node.config.settings import RoutingRule, SeriesMatch
from node.dicom.patient import StudyIdentity
from node.registry.store import ModelStore
from node.storage.clock import utc_now
from node.storage.study_list import StudyLine
from node.web.bundle_sheets import list_bundles, read_details, render_card
from node.web.drift_by_source import MINIMUM_LESIONS, compare_sources
from node.web.identities import Identities, show_date, show_name
from node.web.plots import MARGIN, SIDE, place_on_plane
from tests.unit.registry.test_bundle import MANIFEST


def test_plane_holds_every_point_and_the_mark_outside_of_them():
    points = np.array([[0.0, 0.0], [10.0, 5.0], [5.0, 5.0]])
    labels = np.array(["a", "b", "b"])
    plane = place_on_plane(points, labels, {"1": (20.0, -5.0)})
    assert [(cloud.label, cloud.count) for cloud in plane.clouds] == [("a", 1), ("b", 2)]
    (mark,) = plane.marks
    assert (mark.x, mark.y) == (SIDE - MARGIN, SIDE - MARGIN)  # right, and down
    assert plane.clouds[0].path == f"M{MARGIN} {SIDE / 2}h0"


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("Doe^Jane^Mary^Dr", "Doe, Jane Mary"),
        ("Wang^XiaoDong=王^小东", "Wang, XiaoDong / 王, 小东"),
        ("Phantom", "Phantom"),
        ("", ""),
    ],
)
def test_names_of_persons(written, shown):
    assert show_name(written) == shown


def test_whom_a_study_is_about_is_read_once_and_again_where_it_could_not_be(tmp_path):
    known = StudyIdentity(patient_id="7")
    answers = [StudyIdentity(), known, StudyIdentity(patient_id="8")]
    identities = Identities(lambda _path: answers.pop(0))
    now = utc_now()
    line = StudyLine(
        study_instance_uid="1.2",
        first_received_at=now,
        last_received_at=now,
        calling_ae_title="CT",
        modalities=("CT",),
        objects=1,
        series=1,
        sample=tmp_path / "gone",
        waits=False,
    )
    assert [identities.of(line) for _ in range(3)] == [StudyIdentity(), known, known]
    again = replace(line, first_received_at=now + timedelta(days=20))  # purged, and sent again
    assert identities.of(again) == StudyIdentity(patient_id="8")


def test_dates():
    assert show_date("20261122") == "2026-11-22"
    assert show_date("last week") == "last week"


def test_a_card_cannot_run_anything(tmp_path):
    card = tmp_path / "MODEL_CARD.md"
    card.write_text("# Title\n<script>x()</script>\n\n[a](javascript:x())\n\n|a|b|\n|-|-|\n|1|2|\n")
    html = render_card(card)
    assert "<script" not in html
    assert 'href="javascript' not in html
    assert "<td>1</td>" in html
    assert render_card(tmp_path / "none.md") == ""


def write_bundle(root: Path, name: str, version: str) -> None:
    import yaml

    folder = root / name / version
    (folder / "plots").mkdir(parents=True)
    manifest = {**MANIFEST, "name": name, "version": version, "classifier": None, "files": {}}
    (folder / "bundle.yaml").write_text(yaml.safe_dump(manifest))


def test_rules_are_listed_with_the_version_that_they_use(tmp_path):
    for version in ("0.9.0", "0.10.0"):
        write_bundle(tmp_path, "brain", version)
    (tmp_path / "torn" / "1.0.0").mkdir(parents=True)
    (tmp_path / "torn" / "1.0.0" / "bundle.yaml").write_text("name: [")
    rules = [
        RoutingRule(name=name, match=SeriesMatch(), bundle=bundle, destinations=("pacs",))
        for name, bundle in (("new", "brain"), ("old", "brain/0.9.0"))
    ]
    sheets = list_bundles(ModelStore(tmp_path), rules)
    used = {f"{s.name}/{s.version}": [rule.name for rule in s.rules] for s in sheets}
    assert used == {"brain/0.9.0": ["old"], "brain/0.10.0": ["new"], "torn/1.0.0": []}
    assert [bool(sheet.fault) for sheet in sheets] == [False, False, True]


def test_plots_that_the_card_shows_are_not_shown_twice(tmp_path):
    write_bundle(tmp_path, "brain", "1.0.0")
    folder = tmp_path / "brain" / "1.0.0"
    for name in ("failures-1", "reliability", "other", "projection"):
        (folder / "plots" / f"{name}.png").write_bytes(b"")
    (folder / "MODEL_CARD.md").write_text("![worst](plots/failures-1.png)")
    names = [name for _, name in read_details(folder).plots]
    assert names == ["projection.png", "reliability.png", "other.png"]


def make_projection(rng):
    raw = rng.normal(size=(200, 3))
    return Projection(
        names=("a", "b", "c"),
        center=np.array([1.0, 2.0, 3.0]),
        scale=np.array([2.0, 1.0, 0.5]),
        mean=np.zeros(3),
        axes=np.eye(3)[:2],
        explained=np.array([0.5, 0.3]),
        points=raw.astype(np.float16),
        pca=raw[:, :2].astype(np.float32),
        tsne=raw[:, :2].astype(np.float32),
        labels=np.array(["x"] * 200),
    )


def make_jobs(ledger, projection, rng, *, sender, count, shift):
    jobs = []
    for number in range(count):
        job = queue_job(ledger, f"1.{sender[-1]}.{number}", calling_ae_title=sender)
        scaled = rng.normal(size=3) + np.array([shift, 0, 0])
        values = projection.center + projection.scale * np.sinh(scaled)
        features = dict(zip(projection.names, values.tolist(), strict=True))
        features["c"] = None if number == 0 else features["c"]
        result = {"lesions": [{"number": 1, "features": features}, {"number": 2}]}
        jobs.append(replace(job, result=result))
    return jobs


def test_drift_is_told_of_the_sender_that_drifted(ledger):
    rng = np.random.default_rng(3)
    projection = make_projection(rng)
    jobs = [
        *make_jobs(ledger, projection, rng, sender="MR1", count=40, shift=0),
        *make_jobs(ledger, projection, rng, sender="MR2", count=40, shift=2),
        *make_jobs(ledger, projection, rng, sender="MR3", count=MINIMUM_LESIONS - 1, shift=9),
    ]
    one, two, three = compare_sources([*jobs, *jobs], projection)  # a study counts once
    assert (one.source, one.studies, one.lesions) == ("MR1", 40, 40)
    assert one.drifted == ()
    assert [drift.name for drift in two.drifted] == ["a"]
    assert {drift.name: drift.count for drift in two.drifts}["c"] == 39
    assert (three.lesions, three.drifts) == (MINIMUM_LESIONS - 1, ())
