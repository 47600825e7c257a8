"""The fault matrix by HTTP and MLLP: a DICOMweb archive, a RIS and a FHIR server that fail.

Orthanc is the archive; a gateway before it does what is wrong. Every study ends delivered once, or
as a dead letter with its reason that a person has sent again.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import pytest
from fault_table import Row
from faulty_gateway import Gateway, WebFaults, running_gateway
from free_ports import free_port
from held_stages import AS_MADE
from peers_orthanc import DICOM_WEB, Orthanc, running_orthanc
from pydicom import dcmread
from pydicom.uid import Comprehensive3DSRStorage, RTStructureSetStorage, SegmentationStorage
from receivers import FhirServer, MllpReceiver, fhir_server, mllp_receiver
from running_node import IMPATIENT, JOB_S, RunningNode
from small_study import write_small_study
from tools import require_tool

from node.config.settings import DicomWeb, Fhir, Hl7, Peer
from node.emulate.phantom import WrittenSeries
from node.jobs.job import DeliveryState
from node.jobs.state import JobState

pytestmark = pytest.mark.slow

SEG, SR = str(SegmentationStorage), str(Comprehensive3DSRStorage)


@dataclass
class Site:
    """A node and all that it sends to."""

    node: RunningNode
    orthanc: Orthanc
    gateway: Gateway
    ris: MllpReceiver
    records: FhirServer


@dataclass
class WebBench:
    """One cell: what was there before it, and what came of it."""

    site: Site
    folder: Path
    rows: list[Row]
    taken: int = field(init=False)
    messages: int = field(init=False)
    reports: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self.taken = self.site.gateway.taken
        self.messages = len(self.site.ris.messages)
        self.reports = self._reports()

    def send(self, *, calling_ae: str) -> WrittenSeries:
        """Send a study that nobody has seen before."""
        study = write_small_study(self.folder / "study")
        self.site.node.send(study.paths, calling_ae=calling_ae)
        return study

    def conclude(
        self,
        study_instance_uid: str,
        *,
        fault: str,
        dead_lettered: int = 0,
        classes: frozenset[str] = AS_MADE,
        told: bool = False,
    ) -> None:
        """Wait for the end of a study, and let nothing be lost or doubled."""
        job = self.site.node.wait_for_end(study_instance_uid)
        kinds = Counter(self._classes_of(study_instance_uid))
        sent = self.site.ris.messages[self.messages :]
        reports = self._reports() - self.reports
        expected = 1 if told else 0
        is_whole = kinds.keys() == classes and len(set(sent)) == len(reports) == expected
        row = Row(
            fault=fault,
            stage="sending",
            results=int(job.state is JobState.DELIVERED and is_whole),
            dead_lettered=dead_lettered,
            sent_again=self.site.gateway.taken - self.taken - kinds.total()
            + len(sent) - len(set(sent)),
            doubled=int(max(*kinds.values(), len(set(sent)), len(reports)) > 1),
        )  # fmt: skip
        self.rows.append(row)
        assert (job.state, job.error) == (JobState.DELIVERED, ""), self.site.node.log_tail()
        assert (row.lost, row.doubled) == (0, 0), (kinds, len(set(sent)), len(reports))

    def _classes_of(self, study_instance_uid: str) -> Iterator[str]:
        query = {"Level": "Instance", "Query": {"StudyInstanceUID": study_instance_uid}}
        for instance in self.site.orthanc.post("/tools/find", query):
            content = self.site.orthanc.get_bytes(f"/instances/{instance}/file")
            yield str(dcmread(BytesIO(content), specific_tags=["SOPClassUID"]).SOPClassUID)

    def _reports(self) -> frozenset[str]:
        return frozenset(
            query for kind, query in self.site.records.resources if kind == "DiagnosticReport"
        )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, models_dir: Path) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    extra = {"Plugins": [str(require_tool(str(DICOM_WEB)))], "DicomWeb": {"Enable": True}}
    with (
        running_orthanc(folder / "orthanc", extra=extra) as orthanc,
        running_gateway(
            orthanc.http_port, port=free_port(), forget=lambda: forget_last(orthanc)
        ) as gateway,
        mllp_receiver() as ris,
        fhir_server() as records,
    ):
        web = DicomWeb(url=f"http://127.0.0.1:{gateway.port}/dicom-web")
        node = RunningNode(
            folder / "node",
            models_dir=models_dir,
            peers=[
                Peer(name="web", ae_title="WEB", dicomweb=web, commitment="require"),
                Peer(name="ris", port=ris.port, hl7=Hl7()),
                Peer(name="records", fhir=Fhir(url=records.url)),
            ],
            rules=[
                {
                    "name": name,
                    "match": {"modality": ["MR"], "calling_ae": [calling_ae]},
                    "bundle": "brain-t1ce",
                    "destinations": destinations,
                }
                for name, calling_ae, destinations in (
                    ("stored", "STORED", ["web"]),
                    ("told", "TOLD", ["web", "ris", "records"]),
                )
            ],
            node=IMPATIENT,
        )
        try:
            node.start()
            yield Site(node, orthanc, gateway, ris, records)
        finally:
            node.close()


def forget_last(orthanc: Orthanc) -> None:
    """Delete what came last."""
    changes = orthanc.get("/changes?last")["Changes"]
    (last,) = changes or [None]
    while last["ChangeType"] != "NewInstance":
        (last,) = orthanc.get(f"/changes?since={last['Seq'] - 2}&limit=1")["Changes"]
    orthanc.delete(f"/instances/{last['ID']}")


@pytest.fixture
def bench(site: Site, tmp_path: Path, fault_rows: list[Row]) -> Iterator[WebBench]:
    site.node.wait_until_whole()
    yield WebBench(site, tmp_path, fault_rows)
    site.gateway.faults = WebFaults()
    site.ris.script.clear()
    site.records.script.clear()


@dataclass(frozen=True, kw_only=True)
class Passing:
    """A fault that ends by itself, and what the archive holds in the end."""

    faults: WebFaults
    classes: frozenset[str] = AS_MADE
    proven: bool = False
    """Whether to wait until a query has shown all of it."""


PASSING: Mapping[str, Passing] = {
    "STOW-RS: 503, 3 times": Passing(faults=WebFaults(status=503, times=3)),
    "STOW-RS: drops, twice": Passing(faults=WebFaults(drop=True, times=2)),
    "STOW-RS: keeps and drops": Passing(faults=WebFaults(drop=True, keep=True, times=1)),
    "STOW-RS: stalls": Passing(faults=WebFaults(stall=True, times=1)),
    "STOW-RS: accepts and loses": Passing(faults=WebFaults(lose=True, times=1), proven=True),
    "STOW-RS: refuses SEG": Passing(
        faults=WebFaults(refuse=SEG), classes=frozenset({str(RTStructureSetStorage), SR})
    ),
}


@pytest.mark.parametrize("name", PASSING)
def test_a_web_archive_that_fails_for_a_while_gets_every_result_once(
    bench: WebBench, name: str
) -> None:
    case = PASSING[name]
    bench.site.gateway.faults = case.faults
    study = bench.send(calling_ae="STORED")
    bench.site.node.wait_for_end(study.study_instance_uid)
    if case.proven:
        wait_for_proof(bench, study.study_instance_uid)
    bench.conclude(study.study_instance_uid, fault=name, classes=case.classes)


def wait_for_proof(bench: WebBench, study_instance_uid: str) -> None:
    """STOW-RS knows no commitment: a query shows what is there."""
    node = bench.site.node

    def is_proven() -> bool:
        job = node.job(study_instance_uid)
        states = {each.state for each in node.parts.ledger.deliveries(job.job_id)}
        return job.state is JobState.DELIVERED and states == {DeliveryState.FOUND}

    node.wait_for(is_proven, "a query that shows every object", JOB_S)


LASTING: Mapping[str, tuple[WebFaults | None, str]] = {
    "STOW-RS: down": (None, "STOW-RS failed: ConnectionError"),
    "STOW-RS: 503 always": (WebFaults(status=503), "HTTP 503"),
    "STOW-RS: 401 always": (WebFaults(status=401), "HTTP 401"),
}


@pytest.mark.parametrize("name", LASTING)
def test_a_dead_letter_tells_its_reason_and_is_stored_once_after_a_retry(
    bench: WebBench, name: str
) -> None:
    faults, reason = LASTING[name]
    gateway = bench.site.gateway
    if faults is None:
        gateway.stop()
    else:
        gateway.faults = faults
    try:
        study = bench.send(calling_ae="STORED")
        wait_for_dead_letter(bench, study.study_instance_uid, reason)
    finally:
        if faults is None:
            gateway.start()
        gateway.faults = WebFaults()
    retry(bench, study.study_instance_uid)
    bench.conclude(study.study_instance_uid, fault=name, dead_lettered=1)


def wait_for_dead_letter(bench: WebBench, study_instance_uid: str, reason: str) -> None:
    node = bench.site.node

    def is_given_up() -> bool:
        job = node.job(study_instance_uid)
        return job is not None and job.state is JobState.FAILED

    node.wait_for(is_given_up, "a dead letter", JOB_S)
    job = node.job(study_instance_uid)
    assert reason in job.error
    assert job.job_id in node.onconode("jobs", "list", "--state", "failed", "--json")


def retry(bench: WebBench, study_instance_uid: str) -> None:
    """A person has it sent again, and it is."""
    node = bench.site.node
    job = node.job(study_instance_uid)
    node.onconode("jobs", "retry", job.job_id)
    node.wait_for(lambda: node.job(study_instance_uid).state is JobState.DELIVERED, "it", JOB_S)


RIS, RECORDS = "ris", "records"
LATER: Mapping[str, tuple[str, list[object]]] = {
    "HL7: drops, twice": (RIS, ["drop", "drop"]),
    "HL7: says nothing": (RIS, ["silence"]),
    "HL7: AR, 3 times": (RIS, ["AR"] * 3),
    "FHIR: 503, 3 times": (RECORDS, [503] * 3),
    "FHIR: a page for people": (RECORDS, [(200, "text/html", "<html>")]),
}


@pytest.mark.parametrize("name", LATER)
def test_receivers_that_fail_for_a_while_are_told_once(bench: WebBench, name: str) -> None:
    play(bench, *LATER[name])
    study = bench.send(calling_ae="TOLD")
    bench.conclude(study.study_instance_uid, fault=name, told=True)


REFUSED: Mapping[str, tuple[str, list[object], str]] = {
    "HL7: AE": (RIS, ["AE/ERR||OBR^1^18|101^x^HL70357|E\r"], "HL7 AE: 101"),
    "FHIR: 422": (RECORDS, [422], "422"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_receiver_refuses_is_told_once_after_a_retry(bench: WebBench, name: str) -> None:
    receiver, script, reason = REFUSED[name]
    play(bench, receiver, script)
    study = bench.send(calling_ae="TOLD")
    wait_for_dead_letter(bench, study.study_instance_uid, reason)
    retry(bench, study.study_instance_uid)
    bench.conclude(study.study_instance_uid, fault=name, dead_lettered=1, told=True)


def play(bench: WebBench, receiver: str, script: list[object]) -> None:
    """Let a receiver answer so, then as it should."""
    getattr(bench.site, receiver).script.extend(script)
