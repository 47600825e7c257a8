"""Pages about bundles and about their figures."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import yaml
from factories_ledger import queue_job
from web_client import browser_of

from node.classify.projection import Projection
from node.domain.feedback import FeedbackKind, FeedbackSource, Opinion
from node.domain.role import Role
from node.storage.feedback import FeedbackStore
from tests.unit.registry.test_bundle import MANIFEST

CARD = "# b 1.0.0\n\nMeasured on **40** patients. [report](report.html)\n"
REPORT = "<html><style>p {color: red}</style><script>alert(1)</script></html>"


@pytest.fixture
def browser(services):
    return browser_of(services, Role.VIEWER)


@pytest.fixture
def bundle(parts) -> Path:
    """A bundle with card, report, a plot and its training lesions, named as its manifest says."""
    folder = parts.settings.node.models_dir / "b" / "1.0.0"
    (folder / "plots").mkdir(parents=True)
    (folder / "MODEL_CARD.md").write_text(CARD)
    (folder / "report.html").write_text(REPORT)
    (folder / "plots" / "reliability.png").write_bytes(b"\x89PNG plot")
    points = np.random.default_rng(1).normal(size=(100, 2))
    Projection(
        names=("u", "v"),
        center=np.zeros(2),
        scale=np.ones(2),
        mean=np.zeros(2),
        axes=np.eye(2),
        explained=np.array([0.6, 0.4]),
        points=points.astype(np.float16),
        pca=points.astype(np.float32),
        tsne=points.astype(np.float32),
        labels=np.array(["x"] * 100),
    ).save(folder / "plots" / "projection.npz")
    files = {
        str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }
    manifest = {**MANIFEST, "name": "b", "version": "1.0.0", "classifier": None, "files": files}
    (folder / "bundle.yaml").write_text(yaml.safe_dump(manifest))
    return folder


def test_a_bundle_shows_card_plots_and_where_it_is_active(browser, bundle):
    listed = browser.get("/models").text
    assert "b 1.0.0" in listed
    assert "pacs" in listed
    page = browser.get("/models/b/1.0.0/").text
    assert "<strong>40</strong>" in page
    assert "is what its manifest says." in page
    assert 'src="plots/reliability.png"' in page
    plot = browser.get("/models/b/1.0.0/plots/reliability.png")
    assert (plot.content, plot.headers["content-type"]) == (b"\x89PNG plot", "image/png")


def test_a_changed_file_is_told(browser, bundle):
    (bundle / "plots" / "reliability.png").write_bytes(b"\x89PNG other")
    assert "bundle-file" in browser.get("/models/b/1.0.0/").text


def test_a_report_is_shown_as_it_is_and_runs_nothing(browser, bundle):
    report = browser.get("/models/b/1.0.0/report.html")
    policy = report.headers.get_list("content-security-policy")
    assert report.text == REPORT
    assert len(policy) == 1
    assert "sandbox" in policy[0]
    assert "script-src" not in policy[0]
    assert policy[0].startswith("default-src 'none'")


@pytest.mark.parametrize(
    "path",
    [
        "/models/b/2.0.0/",
        "/models/b/..%2f..%2fconf/",
        "/models/b/1.0.0/plots/..%2fbundle.yaml",
        "/models/b/1.0.0/plots/projection.npz",
    ],
)
def test_nothing_else_of_the_folder_is_served(browser, bundle, path):
    assert browser.get(path).status_code == 404


def test_figures_of_readers(services, browser, bundle):
    store = FeedbackStore(services.engine)
    for number in range(12):
        agrees = number % 4 != 0
        store.add(
            Opinion(
                kind=FeedbackKind.AGREE if agrees else FeedbackKind.CORRECTED_CLASS,
                source=FeedbackSource.WEB,
                study_instance_uid=f"1.{number}",
                job_id=f"j{number}",
                bundle="b",
                author="jane",
                at=datetime(2026, 2, 1, tzinfo=UTC) + timedelta(days=3 * number),
                tracking_uid="2.25.1",
                class_before="Malignant" if number % 2 else "Benign",
                class_after="" if agrees else "Malignant",
                malignancy_probability=0.9 if number % 2 else 0.1,
            )
        )
    page = browser.get("/evaluation").text
    assert "2026-02" in page
    assert "2026-03" in page
    assert "7 / 10" in page  # of February: the first, fifth and ninth disagree
    assert "kappa" in page
    assert "Brier" in page
    assert "Too few readings" not in page


def test_drift_is_shown_by_sender_and_what_cannot_be_told(services, browser, bundle):
    rng = np.random.default_rng(2)
    assert "No reader has said anything yet" in browser.get("/evaluation?bundle=b").text
    for number in range(25):
        job = queue_job(services.ledger, f"1.{number}", bundle="b", destinations=[])
        services.ledger.claim(f"w{number}")
        u, v = rng.normal(3, 0.2), rng.normal()
        features = {"u": float(np.sinh(u)), "v": float(np.sinh(v))}
        result = {"lesions": [{"number": 1, "features": features}]}
        services.ledger.finish(job.job_id, f"w{number}", evidence=[], result=result)
    page = browser.get("/evaluation?bundle=b").text
    assert "MODALITY" in page
    assert "25 lesions" in page
    assert "1 feature has drifted" in page
    (bundle / "plots" / "projection.npz").unlink()
    manifest = yaml.safe_load((bundle / "bundle.yaml").read_text())
    newer = bundle.parent / "1.1.0"
    newer.mkdir()
    manifest |= {"version": "1.1.0", "files": {}}
    (newer / "bundle.yaml").write_text(yaml.safe_dump(manifest))
    assert "keeps no features" in browser.get("/evaluation?bundle=b").text
    assert browser.get("/evaluation?bundle=c").status_code == 404
