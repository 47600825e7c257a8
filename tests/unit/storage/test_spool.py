"""The spool: durable names, checked UIDs, nothing left behind."""

import os
from pathlib import Path

import pytest

from node.domain.errors import InputRejected
from node.storage.spool import Spool, check_uid, is_uid

STUDY, SERIES, SOP = "1.2.1", "1.2.2", "1.2.3"


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool")


def place_in(spool: Spool) -> Path:
    return spool.object_path(
        study_instance_uid=STUDY, series_instance_uid=SERIES, sop_instance_uid=SOP
    )


@pytest.mark.parametrize("uid", ["1", "1.2.840.10008", "2.25." + "9" * 39, "1.02.3"])
def test_uids_are_accepted(uid: str) -> None:
    assert check_uid(uid) == uid


@pytest.mark.parametrize(
    "uid",
    [
        "",
        ".",
        "..",
        "../../etc/passwd",
        "/etc/passwd",
        "1..2",
        "1.2.",
        ".1.2",
        "1.2\n",
        "1.2/3",
        "1.2\\3",
        "1.2\0",
        "1.a",
        "１.２",
        "1." + "2" * 63,
    ],
)
def test_what_is_no_uid_is_refused(uid: str, spool: Spool) -> None:
    assert not is_uid(uid)
    with pytest.raises(InputRejected) as rejection:
        spool.object_path(study_instance_uid=uid, series_instance_uid=SERIES, sop_instance_uid=SOP)
    assert [problem.code for problem in rejection.value.problems] == ["invalid-uid"]
    assert rejection.value.problems[0].tag == "StudyInstanceUID"


def test_a_kept_object_has_its_place_and_no_temp_file(spool: Spool) -> None:
    incoming = spool.begin()
    incoming.write(b"first ")
    incoming.write(memoryview(b"second"))
    spool.keep(incoming, place_in(spool))
    assert place_in(spool).read_bytes() == b"first second"
    assert not list(spool.incoming.iterdir())
    spool.discard(incoming)
    assert place_in(spool).exists(), "discard must not remove what was kept"


def test_file_and_folders_are_synchronised_before_keep_returns(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    synchronised: list[Path] = []
    fsync = os.fsync

    def record(descriptor: int) -> None:
        synchronised.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        fsync(descriptor)

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("needs /proc to see which file a descriptor is")
    monkeypatch.setattr(os, "fsync", record)
    incoming = spool.begin()
    incoming.write(b"x")
    temp, place = incoming.path, place_in(spool)
    spool.keep(incoming, place)
    assert synchronised[0] == temp
    assert synchronised[-1] == place.parent
    assert {spool.objects, place.parent.parent} <= set(synchronised), "new folders too"


def test_discarding_removes_the_temp_file(spool: Spool) -> None:
    incoming = spool.begin()
    incoming.write(b"x")
    spool.discard(incoming)
    assert not list(spool.incoming.iterdir())
    assert incoming.fileno() == -1


def test_the_same_refused_bytes_take_their_space_once(spool: Spool) -> None:
    paths = set()
    for _ in range(3):
        incoming = spool.begin()
        incoming.write(b"bad")
        paths.add(spool.quarantine(incoming, name="digest"))
    assert paths == {spool.quarantine_dir / "digest.dcm"}
    assert [path.read_bytes() for path in spool.quarantine_dir.iterdir()] == [b"bad"]


def test_temp_files_of_a_crash_go_to_quarantine(spool: Spool) -> None:
    incoming = spool.begin()
    incoming.write(b"half an obj")
    spool.begin()
    again = Spool(spool.root)
    moved = again.recover_incoming()
    assert [path.read_bytes() for path in moved] == [b"half an obj"]
    assert moved[0].parent == again.quarantine_dir
    assert not list(again.incoming.iterdir())


def test_stored_studies_are_listed_and_removed(spool: Spool) -> None:
    incoming = spool.begin()
    spool.keep(incoming, place_in(spool))
    assert list(spool.stored_studies()) == [(STUDY, (place_in(spool),))]
    spool.set_study_aside(STUDY)
    assert list(spool.stored_studies()) == []
    spool.empty_trash()
    assert not list(spool.trash.iterdir())


def test_an_object_is_kept_again_after_its_study_was_purged(spool: Spool) -> None:
    spool.keep(spool.begin(), place_in(spool))
    spool.set_study_aside(STUDY)
    spool.keep(spool.begin(), place_in(spool))
    assert place_in(spool).exists()


def test_what_is_wanted_goes_back_from_the_trash(spool: Spool) -> None:
    spool.keep(spool.begin(), place_in(spool))
    aside = spool.set_study_aside(STUDY)
    assert aside is not None
    assert spool.set_aside_folders() == [aside]
    assert spool.put_back(aside, lambda place: place != place_in(spool)) == 0
    assert spool.put_back(aside, lambda place: place == place_in(spool)) == 1
    assert place_in(spool).exists()
    assert spool.set_study_aside("9.9.9") is None


def test_only_the_owner_can_read_patient_data(spool: Spool) -> None:
    spool.keep(spool.begin(), place_in(spool))
    assert place_in(spool).stat().st_mode & 0o077 == 0
    assert spool.objects.stat().st_mode & 0o077 == 0


def test_results_have_a_folder_for_each_job(spool: Spool) -> None:
    assert spool.results_dir("job-1").is_dir()
    for job_id in ("", "..", "a/b", "-x", "a" * 200):
        with pytest.raises(ValueError, match="folder name"):
            spool.results_dir(job_id)
