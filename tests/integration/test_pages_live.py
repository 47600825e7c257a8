"""A whole node and its page in Chromium: a study is watched, read, judged, brought and sent again.

The information system hears of it once; what readers send from their own workstation is heard.
Screenshots are kept in ``build/page-pictures``.
"""

import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from factories_images import checked_series
from factories_opinions import write_human_seg, write_rejection
from factories_report import SeriesOnDisk
from free_ports import free_port
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message
from judges_dicom import decode_with_dcmqi
from peers_orthanc import Orthanc, running_orthanc
from playwright.sync_api import Browser, Page, expect
from receivers import MllpReceiver, mllp_receiver
from running_node import QUICK, RunningNode, find_models_dir
from typer.testing import CliRunner
from web_browser import PATIENCE_MS, chromium, keep_picture, logged_in

from node.cli.app import app
from node.config.settings import Hl7, Peer
from node.domain.feedback import Feedback, FeedbackKind, FeedbackSource
from node.domain.role import Role
from node.emulate.phantom import WrittenSeries, write_case
from node.jobs.state import JobEvent, JobState
from node.storage.accounts import AccountStore
from node.storage.feedback import FeedbackStore
from node.volume.read import read_volume

pytestmark = pytest.mark.slow

OPEN = {"DicomAlwaysAllowFind": True, "DicomAlwaysAllowGet": True}
IN_ARCHIVE = {"PatientName": "Archive^Only", "PatientID": "ARCH-1"}


@dataclass(frozen=True, kw_only=True)
class Site:
    """A node with its page, an archive, and a study that was analysed while its page was open.

    Parameters
    ----------
    node : RunningNode
    address : str
        Of the page.
    orthanc : Orthanc
    ris : MllpReceiver
    study : WrittenSeries
    stages_seen : tuple of str
        States of the study that its page showed, without a person doing anything.
    """

    node: RunningNode
    address: str
    orthanc: Orthanc
    ris: MllpReceiver
    study: WrittenSeries
    states_seen: tuple[str, ...]

    @property
    def accounts(self) -> AccountStore:
        return AccountStore(self.node.parts.engine)

    @property
    def path(self) -> str:
        return f"/studies/{self.study.study_instance_uid}"

    def result(self, kind: str) -> Path:
        """A result as it lies on the node's disk."""
        (job,) = self.node.jobs(self.study.study_instance_uid)
        sent = self.node.parts.ledger.deliveries(job.job_id)
        (path,) = {each.path for each in sent if each.kind == kind}
        return path

    def said(self) -> tuple[Feedback, ...]:
        """What was said of the study, the latest first."""
        store = FeedbackStore(self.node.parts.engine)
        return store.list(study=self.study.study_instance_uid)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    port = free_port()
    with running_orthanc(folder / "orthanc", extra=OPEN) as orthanc, mllp_receiver() as ris:
        peer = orthanc.peer.model_copy(update={"name": "pacs"})
        node = RunningNode(
            folder / "node",
            models_dir=find_models_dir(),
            peers=[peer, Peer(name="ris", port=ris.port, hl7=Hl7())],
            rules=[
                {
                    "name": "brain",
                    "match": {"modality": ["MR"], "calling_ae": ["MR1"]},
                    "bundle": "brain-t1ce",
                    "destinations": ["pacs", "ris"],
                }
            ],
            node={**QUICK, "web": {"enabled": True, "port": port}},
        )
        try:
            node.start()
            node.wait_until_whole()
            node.wait_for(lambda: is_listening(port), "the page", 60)
            address = f"http://127.0.0.1:{port}"
            study = write_case("brain1", folder / "study", fresh=True)
            with logged_in(
                browser, address, AccountStore(node.parts.engine), Role.OPERATOR
            ) as page:
                node.send(study.paths, calling_ae="MR1")
                seen = watch(page, node, study.study_instance_uid)
            yield Site(
                node=node,
                address=address,
                orthanc=orthanc,
                ris=ris,
                study=study,
                states_seen=seen,
            )
        finally:
            node.close()


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def watch(page: Page, node: RunningNode, study: str) -> tuple[str, ...]:
    """Open the page of a study as soon as it has a job, and note the states it shows."""
    node.wait_for(lambda: node.job(study), "a job", 120)
    page.goto(f"/studies/{study}")
    page.evaluate(
        """() => {
          const key = 'seen';
          const note = () => {
            const state = document.querySelector('#progress .state');
            const seen = JSON.parse(sessionStorage.getItem(key) || '[]');
            if (state && seen.at(-1) !== state.textContent) seen.push(state.textContent);
            sessionStorage.setItem(key, JSON.stringify(seen));
          };
          note();
          new MutationObserver(note).observe(document.body, { childList: true, subtree: true });
        }"""
    )
    expect(page.locator("#progress .state").first).to_have_text("delivered", timeout=PATIENCE_MS)
    page.locator("#current[data-ready]").wait_for()  # it was loaded anew by itself
    seen = page.evaluate("JSON.parse(sessionStorage.getItem('seen'))")
    return (*seen, page.locator("#progress .state").first.inner_text())


@pytest.fixture
def page(browser: Browser, site: Site) -> Iterator[Page]:
    with logged_in(browser, site.address, site.accounts, Role.OPERATOR) as opened:
        yield opened


def test_the_study_was_seen_on_its_way(site: Site, page: Page) -> None:
    assert site.states_seen[-1] == "delivered"
    assert site.states_seen[0] in ("queued", "running", "sending"), site.states_seen
    page.goto(site.path)
    page.locator("#current[data-ready]").wait_for()
    timeline = page.locator("table.timeline")
    for stage in ("receive", "assemble", "segment", "radiomics", "report", "send"):
        assert timeline.get_by_role("rowheader", name=stage, exact=True).count() == 1, stage
    objects = page.locator("#progress").get_by_role("row").filter(has_text="pacs")
    assert objects.count() == 2
    for place in range(2):
        assert (
            "accepted" in objects.nth(place).inner_text()
            or "found" in objects.nth(place).inner_text()
        )
    assert "ml" in page.locator("#lesion-1").inner_text()
    assert page.locator(".plane svg").count() == 2
    keep_picture(page, "study")
    keep_picture(page, "study-whole", full_page=True)
    page.goto("/")
    page.get_by_role("heading", name="Overview").wait_for()
    keep_picture(page, "overview")


def test_the_information_system_was_told_once(site: Site) -> None:
    (text,) = site.ris.messages
    message = parse_message(text, validation_level=VALIDATION_LEVEL.STRICT)
    assert message.validate()
    told = [each for each in text.split("\r") if each.startswith("OBX")]
    (job,) = site.node.jobs(site.study.study_instance_uid)
    (lesion,) = job.result["lesions"]
    volumes = [segment.split("|")[5] for segment in told if "Volume" in segment.split("|")[3]]
    assert [float(each) for each in volumes] == [pytest.approx(lesion["volume_ml"], abs=0.01)]


def test_a_chinese_reader_sees_chinese(browser: Browser, site: Site) -> None:
    with logged_in(browser, site.address, site.accounts, Role.VIEWER) as page:
        page.goto("/account")
        page.get_by_role("button", name="中文").click()
        page.goto(site.path)
        page.locator("#current[data-ready]").wait_for()
        assert page.locator("html").get_attribute("lang") == "zh"
        assert "病灶 1" in page.locator("#lesion-1").inner_text().replace("\n", " ")
        keep_picture(page, "study-chinese")
        for path in ("/studies", "/models", "/evaluation"):
            page.goto(path)
            assert page.get_by_role("heading").count() >= 1


def test_a_reader_disagrees(page: Page, site: Site) -> None:
    page.goto(site.path)
    page.locator("#lesion-1").get_by_label("Comment").fill("Margin too wide")
    page.locator("#lesion-1").get_by_role("button", name="Disagree").click()
    page.locator("#lesion-1 .said.disagree").wait_for()
    (kept,) = FeedbackStore(site.node.parts.engine).list(study=site.study.study_instance_uid)
    assert kept.opinion.kind is FeedbackKind.DISAGREE
    assert kept.opinion.malignancy_probability is not None
    page.goto("/evaluation")
    assert "0 / 1" in page.locator("main").inner_text()
    keep_picture(page, "evaluation")


def test_results_are_sent_again(page: Page, site: Site) -> None:
    ledger = site.node.parts.ledger
    (job,) = site.node.jobs(site.study.study_instance_uid)
    page.goto(site.path)
    page.get_by_role("button", name="Send again").click()
    page.wait_for_url(f"{site.address}{site.path}?job={job.job_id}")
    site.node.wait_for(
        lambda: ledger.get(job.job_id).state is JobState.DELIVERED, "another delivery", 120
    )
    assert JobEvent.RESEND in [line.event for line in ledger.events(job.job_id)]
    expect(page.locator("#progress .state").first).to_have_text("delivered", timeout=PATIENCE_MS)


def test_models_and_their_cards(page: Page) -> None:
    page.goto("/models")
    keep_picture(page, "models")
    page.get_by_role("link", name="brain-t1ce").click()
    page.get_by_text("is what its manifest says").wait_for()
    assert page.locator(".figures img").count() >= 3
    page.wait_for_load_state("load")  # with its pictures
    broken = page.evaluate("[...document.images].filter((i) => !i.naturalWidth).length")
    assert broken == 0
    keep_picture(page, "model", full_page=True)
    page.get_by_role("link", name="Report with figures").click()
    page.locator("h1").wait_for()


def test_a_study_is_found_in_the_archive_and_fetched(
    page: Page, site: Site, tmp_path: Path
) -> None:
    there = write_case("brain2", tmp_path, headers=IN_ARCHIVE, fresh=True)
    for path in there.paths[:4]:
        site.orthanc.add_file(path)
    page.goto("/query")
    page.get_by_label("Patient ID").fill("ARCH-1")
    page.get_by_role("button", name="Ask").click()
    row = page.get_by_role("row").filter(has_text=there.study_instance_uid)
    row.get_by_role("button", name="C-GET").click()
    fetched = page.locator("#fetches").get_by_role("row").filter(has_text="done")
    fetched.wait_for()
    keep_picture(page, "query")
    assert "4" in fetched.inner_text()
    assert len(site.node.parts.store.received_of(there.study_instance_uid)) == 4
    page.goto("/studies?patient=archive")
    assert "Archive, Only" in page.locator("main").inner_text()


def test_files_are_handed_in(page: Page, site: Site, tmp_path: Path) -> None:
    study = write_case("brain2", tmp_path / "study", fresh=True)
    archive = shutil.make_archive(str(tmp_path / "study"), "zip", tmp_path / "study")
    (tmp_path / "notes.txt").write_text("no DICOM file")
    page.goto("/upload")
    page.locator("#files").set_input_files([archive, tmp_path / "notes.txt"])
    results = page.locator("#results tbody tr")
    results.filter(has_text="study.zip").wait_for()
    results.filter(has_text="notes.txt").wait_for()
    expect(page.locator("#sum")).to_have_text("23 stored, 1 refused")
    keep_picture(page, "upload")
    received = site.node.parts.store.received_of(study.study_instance_uid)
    assert len(received) == 23
    assert {item.calling_ae_title for item in received} == {"WEB_UPLOAD"}


def test_an_outline_from_a_workstation_is_measured_and_shown(
    page: Page, site: Site, tmp_path: Path
) -> None:
    """The reader's outline is the reference mask; dcmqi decodes the node's."""
    truth = site.study.mask_of(site.study.source_uids)
    folder = site.study.paths[0].parent
    series = SeriesOnDisk(paths=site.study.paths, volume=read_volume(checked_series(folder)))
    write_human_seg(tmp_path / "reader.dcm", series, [truth])
    site.node.send([tmp_path / "reader.dcm"], calling_ae="READER")

    def heard() -> list[Feedback]:
        return [each for each in site.said() if each.opinion.source is FeedbackSource.SEG]

    site.node.wait_for(heard, "the outline of the reader", 120)
    (kept,) = heard()
    assert (kept.opinion.kind, kept.opinion.author) == (
        FeedbackKind.CORRECTED_MASK,
        "Reader^Anna",
    )
    seg = site.result("seg")
    own, _ = decode_with_dcmqi(seg, tmp_path / "dcmqi", site.study.geometry)
    expected = 2 * (truth & (own > 0)).sum() / (truth.sum() + (own > 0).sum())
    assert kept.opinion.outline is not None
    assert kept.opinion.outline.dice == pytest.approx(expected, abs=1e-6)
    page.goto(site.path)
    page.locator("#current[data-ready]").wait_for()
    said = page.locator("#lesion-1 .said").filter(has_text="Reader")
    expect(said).to_contain_text(f"Dice {expected:.2f}")
    keep_picture(page, "study-corrected")
    listed = CliRunner().invoke(
        app, ["--config", str(site.node.config_dir), "feedback", "list", "--json"]
    )
    assert listed.exit_code == 0, listed.output
    assert "corrected-mask" in listed.stdout
    assert len(site.node.jobs(site.study.study_instance_uid)) == 1  # it makes no new work


def test_a_rejection_note_of_the_archive_is_heard(page: Page, site: Site, tmp_path: Path) -> None:
    seg = site.result("seg")
    write_rejection(tmp_path / "note.dcm", [seg])
    site.node.send([tmp_path / "note.dcm"], calling_ae="READER")
    site.node.wait_for(
        lambda: FeedbackKind.REJECTION in {each.opinion.kind for each in site.said()},
        "the rejection",
        120,
    )
    page.goto("/evaluation")
    expect(page.locator("main")).to_contain_text("Rejected")
