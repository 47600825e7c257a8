"""What is fuzzed: damaged input to the code that takes it, and which errors that may raise.

Each target is a function of changes; what it raises is a finding.
"""

import queue
import secrets
import shutil
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import cache
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from fuzz_pieces import (
    TEXTS,
    Change,
    Changes,
    cut,
    damage,
    damage_bytes,
    encode_dataset,
    pick,
)
from fuzz_readers import fuzz_earlier_report, fuzz_reader_objects
from fuzz_replies import JSON, fuzz_acknowledgement, fuzz_replies
from fuzz_seeds import (
    Seed,
    association_request,
    commands,
    seed_study,
    store_messages,
    write_damaged,
)
from pydicom.dataset import Dataset
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)
from pynetdicom.dsutils import decode
from pynetdicom.pdu import A_ASSOCIATE_RQ, P_DATA_TF
from pynetdicom.pdu_primitives import P_DATA

from node.assemble.folder import scan_folder
from node.assemble.headers import Header, group_headers, read_header
from node.assemble.prompts import pointing_series, read_prompts
from node.assemble.validate import check_series
from node.config.document import read_document
from node.config.load import load_settings
from node.config.settings import DeliverSettings, Peer
from node.dicom.commitment import InvalidCommitment, read_report, read_request
from node.dicom.damage import DAMAGED
from node.dicom.structure import StructureFault, walk_data_set
from node.domain.errors import InputRejected, SetupFault, TryLater
from node.query.dimse import DimseArchive
from node.query.found import StudyKeys
from node.query.web import WebArchive
from node.receive.file_meta import FileMeta
from node.receive.identify import identify
from node.receive.request_limits import too_much_in
from node.receive.store_command import StoreAnswer, StoreRequest, write_response
from node.receive.store_command import read_request as read_command
from node.receive.streaming import SpooledDataSet, StreamingProvider
from node.storage.archive import extract, read_manifest
from node.storage.spool import Spool
from node.volume.read import read_volume
from node.web.uploading import TooMuch, UploadLimits, unpack

SYNTAXES = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
    RLELossless,
    JPEG2000Lossless,
)


def fuzz_association_request(changes: Changes, _folder: Path) -> None:
    """A-ASSOCIATE-RQ: counted by us; pynetdicom may raise Exception, which ends the association."""
    pdu = damage_bytes(association_request(), changes)
    if too_much_in(pdu[6:]):
        return
    request = A_ASSOCIATE_RQ()
    with suppress(Exception):
        request.decode(bytearray(pdu))
        request.to_primitive()


def fuzz_messages(changes: Changes, folder: Path) -> None:
    """P-DATA-TF: reordered, repeated, dropped and damaged PDUs of two C-STOREs."""
    pdus = list(store_messages())
    for kind, where, what in changes:
        at = where % len(pdus)
        match kind % 5:
            case 0:
                pdus[at] = damage_bytes(pdus[at], [Change(what, where, what)])
            case 1 if len(pdus) > 1:
                del pdus[at]
            case 2:
                pdus.insert(what % len(pdus), pdus[at])
            case 3:
                pdus[at], pdus[what % len(pdus)] = pdus[what % len(pdus)], pdus[at]
            case _:
                pdus[at] = pdus[at][:6] + damage_bytes(pdus[at][6:], [Change(what, where, what)])
    provider, spool = _provider(folder)
    for pdu in pdus:
        for primitive in _decoded(pdu):
            provider.receive_primitive(primitive)
    provider.abandon()
    assert not list((spool.root / "incoming").iterdir()), "a temp file was left"


def _decoded(pdu: bytes) -> list[P_DATA]:
    data = P_DATA_TF()
    with suppress(Exception):  # pynetdicom ends the association
        data.decode(bytearray(pdu))
        return [data.to_primitive()]
    return []


class _Sink:
    """Stores nothing."""

    def __init__(self, spool: Spool) -> None:
        self.spool = spool

    def open_data_set(self, _association: Any, request: StoreRequest, syntax: str) -> Any:
        meta = _file_meta(request.sop_class_uid, request.sop_instance_uid, syntax)
        return SpooledDataSet(
            spool=self.spool, file_meta=meta, maximum_bytes=1 << 16, minimum_free_bytes=0
        )

    def answer(self, _data_set: Any) -> StoreAnswer:
        return StoreAnswer(status=0)


def _provider(folder: Path) -> tuple[StreamingProvider, Spool]:
    spool = _spool(folder)
    context = SimpleNamespace(context_id=1, transfer_syntax=[ExplicitVRLittleEndian])
    dul = SimpleNamespace(event_queue=queue.Queue(), socket=None)
    association = SimpleNamespace(
        dul=dul, accepted_contexts=[context], get_handlers=lambda _event: []
    )
    return StreamingProvider(association, _Sink(spool)), spool


def _file_meta(sop_class: str, sop_instance: str, syntax: str) -> FileMeta:
    return FileMeta(
        sop_class_uid=sop_class,
        sop_instance_uid=sop_instance,
        transfer_syntax_uid=syntax,
        calling_ae_title="FUZZ",
        called_ae_title="ONCONODE",
    )


def fuzz_command(changes: Changes, _folder: Path) -> None:
    """Command sets: ValueError ends the association; else the answer can be written."""
    try:
        request = read_command(1, damage_bytes(pick(changes, commands()), changes))
    except ValueError:
        return
    if request is not None:
        write_response(request, StoreAnswer(status=0xC000, comment="x"))


def fuzz_data_set(changes: Changes, folder: Path) -> None:
    """A received data set in any transfer syntax: identified, or refused."""
    seed: Seed = pick(changes, _all_seeds())
    syntax = SYNTAXES[sum(change.what for change in changes) % len(SYNTAXES)]
    body = damage(seed.body, changes)
    spool = _spool(folder)
    meta = _file_meta(CTImageStorage, "1.2", syntax).encode()
    path = folder / "object.dcm"
    path.write_bytes(meta + body)
    with suppress(InputRejected):
        identify(
            path,
            file_meta=_file_meta(CTImageStorage, "1.2", syntax),
            start=len(meta),
            spool=spool,
            maximum_bytes=1 << 20,
        )


def fuzz_walk(changes: Changes, _folder: Path) -> None:
    """The walk over elements, in memory: a fault, or texts of its identifiers."""
    seed: Seed = pick(changes, _all_seeds())
    body = damage(seed.body, changes)
    syntax = SYNTAXES[0] if len(changes) < 4 else pick(changes[1:], SYNTAXES[:3])
    with suppress(StructureFault):
        walk_data_set(body, transfer_syntax_uid=syntax, wanted=(0x00080018, 0x0020000D))


def _all_seeds() -> tuple[Seed, ...]:
    study = seed_study()
    return (*study.images, study.enhanced, *study.pointing)


@cache
def _spool(folder: Path) -> Spool:
    return Spool(folder / "spool")


@cache
def _whole_headers() -> tuple[Header, ...]:
    return tuple(read_header(instance) for instance in seed_study().series.instances)


def fuzz_images(changes: Changes, folder: Path) -> None:
    """Files of a series: header, geometry and pixels are read, or refused with their problems."""
    study = seed_study()
    seeds = (*study.images, study.enhanced, study.enhanced)
    damaged = pick(changes, seeds)
    headers = list(_whole_headers())
    if damaged is study.enhanced:
        headers = []
    else:
        del headers[seeds.index(damaged) % len(headers)]
    with suppress(InputRejected, TryLater):
        header = read_header(write_damaged(folder / "image.dcm", damaged, changes))
        uid = headers[0].study_instance_uid if headers else header.study_instance_uid
        series = headers[0].series_instance_uid if headers else header.series_instance_uid
        header = replace(header, study_instance_uid=uid, series_instance_uid=series)
        (found,) = group_headers([*headers, header]).series
        read_volume(check_series(found, minimum_slices=1))


def fuzz_folder(changes: Changes, folder: Path) -> None:
    """A folder of strangers' files: whatever is wrong with one is told."""
    place = folder / "files"
    place.mkdir(exist_ok=True)
    for number, seed in enumerate((pick(changes, _all_seeds()), seed_study().images[0])):
        write_damaged(place / f"{number}.dcm", seed, changes if number == 0 else ())
    for study in scan_folder(place).studies:
        assert ".." not in study.study_instance_uid
        assert "/" not in study.study_instance_uid


def fuzz_pointing(changes: Changes, folder: Path) -> None:
    """SEG, RTSTRUCT and SR: prompts, or reasons why there are none; nothing is raised."""
    study = seed_study()
    seed = pick(changes, study.pointing)
    path = write_damaged(folder / "pointing.dcm", seed, changes)
    try:
        header = read_header(path)
    except InputRejected:
        return
    header = replace(header, study_instance_uid=study.study.study_instance_uid)
    found = group_headers([header])
    pointed = read_prompts(pointing_series(found, own_results=True), study.series)
    for prompt in pointed.prompts:
        assert len(prompt.point_lps_mm) == 3


YAML = {
    name: (Path(__file__).parents[2] / "dicom_conf" / name).read_bytes()
    for name in ("node.yaml", "peers.yaml", "routing.yaml")
}
LAUGHS = (
    b"a: &a [x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\n"
    b"c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b]\nd: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c]\n"
    b"e: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d]\nf: [*e, *e, *e, *e, *e, *e, *e, *e, *e]\n"
)
HOSTILE_YAML = (
    LAUGHS,
    b"!!python/object/apply:os.system ['true']",
    b"&a [*a]",
    b"? {a: b}\n: c",
    b"<<: {port: 1}",
    b"[" * 300,
    b"{a: " * 300,
    b"--- a\n--- b\n",
    b"%YAML 9.9\n---\n",
    b"\x00",
    b"\xff\xfe",
    b"key: !!binary 'aGk='",
    b"port: 99999999999999999999999",
    b"port: .inf",
    b"port: 1e999",
    b"x: |\n  text\n",
    b"\xe2\x80\xa8",
)


def _damaged_yaml(changes: Changes) -> tuple[str, bytes]:
    name = pick(changes, sorted(YAML))
    lines = YAML[name].splitlines(keepends=True)
    for kind, where, what in changes:
        at = where % max(1, len(lines))
        match kind % 5:
            case 0:
                lines[at : at + 1] = []
            case 1:
                lines.insert(at, HOSTILE_YAML[what % len(HOSTILE_YAML)] + b"\n")
            case 2 if at < len(lines):
                key = lines[at].partition(b":")[0]
                lines[at] = key + b": " + TEXTS[what % len(TEXTS)] + b"\n"
            case 3 if at < len(lines):
                lines[at] = b" " * (what % 5) + lines[at]
            case _ if at < len(lines):
                lines[at] = damage_bytes(lines[at], [Change(what, where, what)])
    return name, b"".join(lines)


def fuzz_yaml(changes: Changes, folder: Path) -> None:
    """One yaml file: nothing is raised, every fault is in the document."""
    name, content = _damaged_yaml(changes)
    path = folder / name
    path.write_bytes(content)
    read_document(path)


def fuzz_configuration(changes: Changes, folder: Path) -> None:
    """All three files: settings, or one SetupFault with every problem."""
    name, content = _damaged_yaml(changes)
    place = folder / "configuration"
    place.mkdir(exist_ok=True)
    for each, text in YAML.items():
        (place / each).write_bytes(content if each == name else text)
    with suppress(SetupFault):
        load_settings(place, environment={})


REQUESTS = (
    b"GET /metrics HTTP/1.1\r\nHost: node\r\n\r\n",
    b"GET /ready HTTP/1.0\r\n\r\n",
    b"POST /health HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\nx",
    b"GET " + b"/" * 70_000 + b" HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
)


def fuzz_http(changes: Changes, _folder: Path) -> None:
    """Requests to the metrics port: an answer of HTTP, or none."""
    from node.bootstrap.http_service import _Handler

    class Handler(_Handler):
        answers = {"/metrics": lambda: (200, "text/plain", b"x 1\n")}  # noqa: RUF012 - never changed

    answer = BytesIO()
    sent = damage_bytes(pick(changes, REQUESTS), changes)
    request = SimpleNamespace(
        makefile=lambda *_: BytesIO(sent), sendall=answer.write, settimeout=lambda _s: None
    )
    Handler(request, ("127.0.0.1", 1), SimpleNamespace())
    told = answer.getvalue()
    assert not told or told.startswith((b"HTTP/1.", b"<!DOCTYPE", b"x 1"))


def _commitment() -> Dataset:
    request = Dataset()
    request.TransactionUID = "1.2.3"
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CTImageStorage, "1.2.4"
    item.FailureReason = 0x0112
    request.ReferencedSOPSequence = [item, item]
    request.FailedSOPSequence = [item]
    return request


def fuzz_commitment(changes: Changes, _folder: Path) -> None:
    """Requests and reports of commitment: taken, or refused as invalid."""
    data = damage(cut(encode_dataset(_commitment())), changes)
    for read in (read_request, lambda dataset: read_report(2, dataset)):
        try:
            decoded = decode(BytesIO(data), False, True)
        except DAMAGED:
            return
        with suppress(InvalidCommitment):
            read(decoded)


def _match() -> Dataset:
    match = Dataset()
    match.QueryRetrieveLevel = "STUDY"
    match.StudyInstanceUID, match.SeriesInstanceUID = "1.2.3", "1.2.4"
    match.SOPInstanceUID, match.SOPClassUID = "1.2.5", CTImageStorage
    match.ModalitiesInStudy = ["CT", "SR"]
    match.NumberOfStudyRelatedInstances = match.NumberOfSeriesRelatedInstances = 3
    match.SeriesNumber, match.SeriesDescription, match.StudyDate = 2, "chest", "20200101"
    return match


PEER = Peer(name="a", ae_title="A")


class _AnsweringArchive(DimseArchive):
    """Answers every question with one damaged identifier."""

    matches: list[Dataset] = []  # noqa: RUF012 - a stand-in of one call

    def _find(self, _identifier: Dataset) -> list[Dataset]:
        return self.matches


def fuzz_answers(changes: Changes, _folder: Path) -> None:
    """Answers of archives to C-FIND: what cannot be read is as if it were not told."""
    data = damage(cut(encode_dataset(_match())), changes)
    try:
        _AnsweringArchive.matches = [decode(BytesIO(data), False, True)]
    except DAMAGED:  # pynetdicom tells the node of none then
        return
    archive = _AnsweringArchive(peer=PEER, calling_ae_title="B", settings=DeliverSettings())
    archive.find_studies(StudyKeys())
    archive.find_series("1.2.3")
    archive.find_instances("1.2.3", "1.2.4")


class _AnsweringWebArchive(WebArchive):
    """Answers every question with damaged JSON."""

    answers: Any = None

    def _search(self, _method: str, **_arguments: Any) -> Any:
        return self.answers


def fuzz_web_answers(changes: Changes, _folder: Path) -> None:
    """Answers to QIDO-RS: DICOM JSON with values where none belong."""
    answer: Any = _match().to_json_dict()
    for kind, where, what in changes:
        key = sorted(answer)[where % len(answer)]
        answer[key] = JSON[what % len(JSON)]
        if kind % 2:
            answer[key] = {"vr": "IS", "Value": JSON[what % len(JSON)]}
    _AnsweringWebArchive.answers = [answer, JSON[sum(each.what for each in changes) % len(JSON)]]
    archive = _AnsweringWebArchive(peer=PEER, settings=DeliverSettings())
    archive.find_studies(StudyKeys())
    archive.find_series("1.2.3")
    archive.find_instances("1.2.3", "1.2.4")


def _backup(folder: Path) -> bytes:
    from node.storage.archive import writing_archive

    place = folder / "whole.tar"
    if not place.exists():
        with writing_archive(place, written_at_s=0) as archive:
            archive.add_bytes(b"ae_title: NODE\n", "config/node.yaml")
            archive.finish(software_version="1", facts={})
    return place.read_bytes()


def fuzz_backup(changes: Changes, folder: Path) -> None:
    """A backup: read, or refused; nothing is written outside of the folder."""
    place = folder / "damaged.tar"
    place.write_bytes(damage_bytes(_backup(folder), changes))
    with suppress(InputRejected):
        extract(place, read_manifest(place), folder="config", into=folder / secrets.token_hex(8))


@cache
def _archive() -> bytes:
    content = BytesIO()
    ways = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    with zipfile.ZipFile(content, "w") as archive:
        for number, way in enumerate(ways):
            archive.writestr(f"{number}/ü.dcm", b"\0" * 128 + b"DICM" * 60, way)
    return content.getvalue()


def fuzz_upload(changes: Changes, folder: Path) -> None:
    """A file that a person drops into the page: unpacked within its limits, or refused."""
    limits = UploadLimits(
        maximum_object_bytes=1 << 12,
        least_free_bytes=0,
        free_bytes=lambda: 1,
        maximum_unpacked_bytes=1 << 13,
        maximum_members=8,
    )
    place = folder / secrets.token_hex(8)
    place.mkdir()
    body = place / "body"
    body.write_bytes(damage_bytes(_archive(), changes))
    try:
        with suppress(TooMuch):
            for path in unpack(body, limits):
                assert path.stat().st_size <= limits.maximum_object_bytes
        assert sum(path.stat().st_size for path in place.iterdir() if path != body) <= 1 << 13
        assert {path.parent for path in place.rglob("*")} == {place}
    finally:
        shutil.rmtree(place)


TARGETS: dict[str, tuple[Callable[[Changes, Path], None], int]] = {
    "association_request": (fuzz_association_request, 16),
    "messages": (fuzz_messages, 4),
    "command": (fuzz_command, 20),
    "walk": (fuzz_walk, 12),
    "data_set": (fuzz_data_set, 6),
    "images": (fuzz_images, 3),
    "pointing": (fuzz_pointing, 5),
    "reader_objects": (fuzz_reader_objects, 2),
    "earlier_report": (fuzz_earlier_report, 2),
    "folder": (fuzz_folder, 2),
    "yaml": (fuzz_yaml, 1),
    "configuration": (fuzz_configuration, 1),
    "http": (fuzz_http, 8),
    "commitment": (fuzz_commitment, 6),
    "answers": (fuzz_answers, 4),
    "web_answers": (fuzz_web_answers, 3),
    "replies": (fuzz_replies, 1),
    "acknowledgement": (fuzz_acknowledgement, 1),
    "upload": (fuzz_upload, 2),
    "backup": (fuzz_backup, 1),
}
"""Name -> what is done, and its share of the cases in per cent."""
