"""Studies brought here by a person: asked for in an archive, or handed in as files."""

import asyncio
import errno
import threading
import zipfile
from dataclasses import replace
from io import BytesIO

import pytest
from factories_receive import wait_until
from web_client import audit_messages, browser_of

from node.deliver.c_store import SendOutcome
from node.domain.errors import TryLater
from node.domain.role import Role
from node.query.found import Fetched, StudyFound, StudyKeys
from node.web.fetching import FetchDesk
from node.web.pages import upload
from node.web.uploading import (
    AE_TITLE,
    MAXIMUM_MEMBERS,
    MAXIMUM_UNPACKED_BYTES,
    TooMuch,
    UploadLimits,
    take_upload,
    unpack,
)

FOUND = StudyFound(study_instance_uid="1.2.3", study_date="20260301", modalities=("MR",))


class Archive:
    """An archive that remembers what it was asked."""

    def __init__(self):
        self.asked = []

    def find_studies(self, keys):
        self.asked.append(keys)
        if keys.patient_id == "AWAY":
            raise TryLater("pacs: no connection")
        return (FOUND,)


@pytest.fixture
def archive():
    return Archive()


@pytest.fixture
def services(services, archive):
    return replace(services, archive=lambda _peer: archive)


def test_an_archive_is_asked_with_what_was_typed(services, archive):
    browser = browser_of(services, Role.OPERATOR)
    page = browser.get("/query?peer=pacs&patient_id=P1&modality=mr&date=20260301-20260302")
    assert "1.2.3" in page.text
    assert "2026-03-01" in page.text
    assert archive.asked == [
        StudyKeys(patient_id="P1", modality="MR", study_date="20260301-20260302")
    ]
    (message,) = [each for each in audit_messages(services) if "110112" in each]
    assert "ARCHIVE" in message


def test_what_the_archive_did_not_do_is_told(services, archive):
    browser = browser_of(services, Role.OPERATOR)
    assert "pacs: no connection" in browser.get("/query?peer=pacs&patient_id=AWAY").text
    assert "could be very long" in browser.get("/query?peer=pacs").text
    assert len(archive.asked) == 1
    assert browser.get("/query?peer=pacs&date=2026").status_code == 422
    assert browser.get("/query?peer=other&uid=1").status_code == 404


def test_a_fetch_runs_beside_the_page(services):
    arrived, asked = threading.Event(), []

    def fetch(peer, wanted, by_get):
        asked.append((peer.name, wanted.study_instance_uid, by_get))
        assert arrived.wait(timeout=20)
        return Fetched(completed=7)

    browser = browser_of(replace(services, fetch=fetch), Role.OPERATOR)
    for _ in range(2):  # a second click does not fetch twice
        answer = browser.act("/query/fetch", peer="pacs", study="1.2.3", by_get="true")
        assert answer.status_code == 303
    assert "hx-get" in browser.get("/query/fetches").text
    arrived.set()
    wait_until(lambda: "done" in browser.get("/query/fetches").text)
    page = browser.get("/query/fetches").text
    assert "hx-get" not in page
    assert 'href="/studies/1.2.3"' in page
    assert asked == [("pacs", "1.2.3", True)]
    assert browser.act("/query/fetch", peer="pacs", study="../x").status_code == 422
    assert browser.act("/query/fetch", peer="none", study="1.2").status_code == 404


@pytest.mark.parametrize(
    ("outcome", "state", "error"),
    [
        (Fetched(completed=0), "failed", ""),
        (Fetched(completed=3, failed=1), "failed", ""),
        (TryLater("pacs: no answer"), "failed", "pacs: no answer"),
        (ZeroDivisionError(), "failed", "ZeroDivisionError"),
    ],
)
def test_what_became_of_a_fetch(services, outcome, state, error):
    def fetch(_peer, _wanted, _by_get):
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    desk = FetchDesk(fetch, services.now)
    (peer,) = services.settings().peers
    desk.begin(peer, FOUND, by_get=False, user="jane")
    wait_until(lambda: not desk.list()[0].goes_on)
    assert (desk.list()[0].state, desk.list()[0].error) == (state, error)


def limits(**changes):
    made = UploadLimits(
        maximum_object_bytes=1000,
        least_free_bytes=0,
        free_bytes=lambda: 10**9,
        maximum_unpacked_bytes=5000,
        maximum_members=4,
    )
    return replace(made, **changes)


def test_limits_of_an_upload_are_those_that_are_told() -> None:
    own = UploadLimits(maximum_object_bytes=1, least_free_bytes=0, free_bytes=lambda: 1)
    assert own.maximum_members == MAXIMUM_MEMBERS
    assert own.maximum_unpacked_bytes == MAXIMUM_UNPACKED_BYTES


def zipped(members, **more):
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content, **more)
    return buffer.getvalue()


def test_names_in_an_archive_are_never_used(tmp_path):
    body = tmp_path / "inner" / "body"
    body.parent.mkdir()
    body.write_bytes(zipped({"../../evil.dcm": b"a", "/etc/x": b"b", "d/": b"", "d/c": b"c"}))
    paths = unpack(body, limits())
    assert [path.read_bytes() for path in paths] == [b"a", b"b", b"c"]
    assert {path.parent for path in paths} == {body.parent}
    assert sorted(path.name for path in tmp_path.rglob("*")) == [
        "000000.dcm", "000001.dcm", "000002.dcm", "body", "inner",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (zipped({str(n): b"x" for n in range(5)}), "more than 4 files"),
        (zipped({"a": bytes(1001)}), "more than 1000 bytes"),
        (zipped({str(n): bytes(999) for n in range(4)})[:200] + bytes(50), "damaged"),
        (b"D" * 1001, "more than 1000 bytes"),
    ],
)
def test_too_much_is_refused(tmp_path, content, why):
    body = tmp_path / "body"
    body.write_bytes(content)
    with pytest.raises(TooMuch, match=why):
        unpack(body, limits())


def test_what_an_archive_unpacks_to_is_counted_over_all_of_it(tmp_path):
    body = tmp_path / "body"
    body.write_bytes(zipped({str(n): bytes(900) for n in range(4)}))
    assert len(unpack(body, limits())) == 4
    for path in tmp_path.glob("*.dcm"):
        path.unlink()
    with pytest.raises(TooMuch):
        unpack(body, limits(maximum_unpacked_bytes=3000))


def run_upload(tmp_path, *, hand_in=lambda _paths, _sender: (), **changes):
    async def chunks():
        for _ in range(6):
            yield b"D" * 100

    return asyncio.run(
        take_upload(chunks(), data_dir=tmp_path, limits=limits(**changes), hand_in=hand_in)
    )


def test_a_full_disk_and_a_long_body_leave_nothing_behind(tmp_path):
    with pytest.raises(TooMuch, match="free space"):
        run_upload(tmp_path, least_free_bytes=2 * 10**9)
    with pytest.raises(TooMuch, match="more than 500 bytes"):
        run_upload(tmp_path, maximum_unpacked_bytes=500)
    assert list((tmp_path / "scratch").iterdir()) == []


def test_an_upload_that_is_broken_off_leaves_nothing_and_is_no_fault_of_the_node(services):
    browser = browser_of(services, Role.OPERATOR)
    headers = {"X-CSRF-Token": browser.token_on("/account")}
    answered = browser.break_off("/upload/file", b"D" * 100, headers)
    assert answered[0]["status"] == 400
    assert not list((services.settings().node.data_dir / "scratch").iterdir())


def test_a_disk_that_takes_no_upload_is_told(services, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "full")

    browser = browser_of(services, Role.OPERATOR)
    monkeypatch.setattr(upload, "take_upload", full)
    headers = {"X-CSRF-Token": browser.token_on("/account")}
    answer = browser.post("/upload/file", content=b"x", headers=headers)
    assert answer.status_code == 507
    assert answer.json() == {"error": "the node cannot write to its disk"}


def test_files_go_to_the_listener_and_its_answers_come_back(services):
    handed = []

    def hand_in(paths, sender):
        handed.append((sender, [path.read_bytes() for path in paths]))
        return [
            SendOutcome(
                path=path,
                sop_instance_uid="",
                status=0 if place else 0xA900,
                accepted=bool(place),
                retry=False,
                detail="" if place else "0xA900 data set does not match",
            )
            for place, path in enumerate(paths)
        ]

    browser = browser_of(replace(services, hand_in=hand_in), Role.OPERATOR)
    token = browser.token_on("/account")
    body = zipped({"a": b"one", "b": b"two"})
    assert browser.post("/upload/file", content=body).status_code == 403  # without the token
    answer = browser.post("/upload/file", content=body, headers={"X-CSRF-Token": token})
    assert answer.json() == {
        "stored": 1,
        "refused": 1,
        "reasons": ["0xA900 data set does not match"],
    }
    assert handed == [(AE_TITLE, [b"one", b"two"])]
    assert any("1 stored, 1 refused" in each for each in audit_messages(services))
    assert not list((services.settings().node.data_dir / "scratch").iterdir())
    viewer = browser_of(services, Role.VIEWER)
    refused = viewer.post(
        "/upload/file", content=b"x", headers={"X-CSRF-Token": viewer.token_on("/account")}
    )
    assert refused.status_code == 403
