"""The command line as a person or script uses it: output, exit code, no traceback."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from node.cli import main
from node.cli.evaluate import flatten
from node.cli.exit_codes import MEANING, ExitCode, exit_code_of
from node.cli.peers import find_peer
from node.cli.send import find_dicom_files
from node.config.settings import NodeSettings, Peer, Settings
from node.domain.errors import InputRejected, Problem, SetupFault, TryLater
from node.domain.intake import Arrival, Completeness, Intake
from node.domain.study import Part
from node.jobs.ledger import Ledger
from node.storage.database import open_database, sqlite_url

PEERS = """\
peers:
  - {name: pacs, ae_title: ARCHIVE, host: 127.0.0.1, port: 4242}
"""
ROUTING = """\
rules:
  - {name: brain, match: {modality: [MR]}, bundle: brain-t1ce, destinations: [pacs]}
"""


@pytest.fixture
def config_dir(tmp_path: Path) -> Path:
    directory = tmp_path / "dicom_conf"
    directory.mkdir()
    (directory / "node.yaml").write_text("ae_title: TESTNODE\n")
    (directory / "peers.yaml").write_text(PEERS)
    (directory / "routing.yaml").write_text(ROUTING)
    version = tmp_path / "models" / "brain-t1ce" / "1.0.0"
    version.mkdir(parents=True)
    (version / "bundle.yaml").write_text("")
    return directory


@pytest.fixture
def onconode(config_dir, capsys, monkeypatch):
    """Run ``onconode --config ...`` in this process; return code, output and complaints."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["--config", str(config_dir), *arguments])
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return run


@pytest.fixture
def ledger(config_dir) -> Ledger:
    data_dir = config_dir.parent / "data"
    data_dir.mkdir()
    return Ledger(open_database(sqlite_url(data_dir)), lease_s=60)


def add_job(ledger: Ledger, study: str = "1.2.3"):
    return ledger.add_job(
        study_instance_uid=study,
        series_instance_uids=("1.2.3.4",),
        bundle="brain-t1ce",
        rule="brain",
        destinations=("pacs",),
        calling_ae_title="MODALITY",
        content_digest="d" * 64,
    )


COMMANDS = (
    *("serve", "demo", "process", "send", "echo"),
    *("jobs", "models", "config", "train", "evaluate"),
)


def test_help_names_every_command_and_exit_code(onconode):
    code, out, _ = onconode("--help")
    assert code == 0
    for word in COMMANDS:
        assert f" {word} " in out
    for code, meaning in MEANING.items():
        assert f"{int(code)}  {meaning}" in out


def test_no_command_at_all_is_wrong_usage_with_help(capsys):
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == ExitCode.USAGE
    assert "Usage" in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    "arguments", [["servee"], ["echo"], ["jobs", "show"], ["process", "nowhere", "--out", "x"]]
)
def test_wrong_usage_ends_with_two(onconode, arguments):
    code, _, err = onconode(*arguments)
    assert code == ExitCode.USAGE
    assert "Traceback" not in err


def test_config_check_of_good_files(onconode):
    code, out, _ = onconode("config", "check", "--show")
    assert code == ExitCode.OK
    assert "no faults" in out
    assert "TESTNODE" in out
    assert "ARCHIVE" in out
    assert "quiet_time_s: 10" in out


def test_config_check_hides_the_password_of_the_database(onconode, config_dir):
    url = "postgresql+psycopg://node:hunter2@db/onconode"
    (config_dir / "node.yaml").write_text(f"database_url: {url}\n")
    code, out, err = onconode("config", "check", "--show")
    assert code == ExitCode.OK
    assert "hunter2" not in out + err
    assert "node:***@db" in out


def test_config_check_lists_every_fault_with_its_line_and_ends_with_five(onconode, config_dir):
    (config_dir / "node.yaml").write_text("prot: 1\nae_title: A\\B\n")
    code, _, err = onconode("config", "check")
    assert code == ExitCode.SETUP_FAULT
    assert "node.yaml:1" in err
    assert "did you mean 'port'?" in err
    assert "node.yaml:2" in err
    assert "2 faults" in err
    assert "Traceback" not in err


def test_jobs_without_a_ledger_ends_with_five_and_makes_none(onconode, config_dir):
    code, _, err = onconode("jobs", "list")
    assert code == ExitCode.SETUP_FAULT
    assert "has the node run" in err
    assert not (config_dir.parent / "data").exists()


def test_jobs_list_as_table_and_as_json(onconode, ledger):
    job = add_job(ledger)
    code, out, _ = onconode("jobs", "list")
    assert code == 0
    assert job.job_id[:12] in out
    assert "queued" in out
    code, out, _ = onconode("jobs", "list", "--json", "--state", "queued", "--study", "1.2.3")
    (row,) = json.loads(out)
    assert row["job_id"] == job.job_id
    assert row["destinations"] == ["pacs"]
    assert onconode("jobs", "list", "--state", "failed")[1].strip() == "no jobs"


def test_jobs_show_by_the_beginning_of_the_id(onconode, ledger):
    job = add_job(ledger)
    code, out, _ = onconode("jobs", "show", job.job_id[:6])
    assert code == 0
    assert job.job_id in out
    assert "History" in out
    code, out, _ = onconode("jobs", "show", job.job_id, "--json")
    shown = json.loads(out)
    assert shown["events"][0]["event"] == "add"
    assert shown["deliveries"] == []


def test_jobs_show_tells_why_a_study_was_refused(onconode, ledger):
    problem = Problem(
        code="missing-slices", found="a gap of 9 mm", expected="none", remedy="send all slices"
    )
    job = ledger.add_rejected(
        study_instance_uid="1.2.9",
        calling_ae_title="MODALITY",
        content_digest="e" * 64,
        problems=[problem],
    )
    code, out, err = onconode("jobs", "show", job.job_id)
    assert code == 0
    assert "rejected" in out
    assert "missing-slices" in err
    assert "send all slices" in err


def test_jobs_cancel_then_retry(onconode, ledger):
    job = add_job(ledger)
    assert "cancelled now" in onconode("jobs", "cancel", job.job_id)[1]
    assert ledger.get(job.job_id).state == "cancelled"
    assert "queued now" in onconode("jobs", "retry", job.job_id)[1]
    assert ledger.get(job.job_id).state == "queued"


def test_jobs_retry_of_a_queued_job_is_wrong_usage(onconode, ledger):
    code, _, err = onconode("jobs", "retry", add_job(ledger).job_id)
    assert code == ExitCode.USAGE
    assert "is queued and cannot be retried" in err


def test_job_that_does_not_exist_and_beginning_that_fits_several(onconode, ledger):
    first, second = add_job(ledger, "1.2.3"), add_job(ledger, "1.2.4")
    assert first.job_id != second.job_id
    assert onconode("jobs", "show", "zzz")[0] == ExitCode.USAGE
    code, _, err = onconode("jobs", "show", "")
    assert code == ExitCode.USAGE
    assert "2 jobs begin with" in err


def test_find_peer_by_name_title_and_address():
    one = Peer(name="pacs", ae_title="ARCHIVE", port=104)
    two = Peer(name="other", ae_title="TWIN", port=105)
    three = Peer(name="third", ae_title="TWIN", host="10.0.0.3", port=105)
    settings = Settings(node=NodeSettings(), peers=(one, two, three))
    assert find_peer(settings, "pacs") is one
    assert find_peer(settings, "ARCHIVE") is one
    direct = find_peer(settings, "ANY SCP@10.0.0.9:11112")
    assert (direct.ae_title, direct.host, direct.port) == ("ANY SCP", "10.0.0.9", 11112)
    for wrong in ("TWIN", "nobody", "ANY@host:0", "ANY@host:70000", "@host:104"):
        with pytest.raises(Exception, match=r"peer"):
            find_peer(settings, wrong)


def test_send_takes_dicom_files_at_any_depth_and_counts_the_others(tmp_path):
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (inner / "one").write_bytes(b"\0" * 128 + b"DICM" + b"rest")
    (tmp_path / "short").write_bytes(b"DICM")
    (tmp_path / "text.dcm").write_text("not DICOM " * 30)
    dicom, others = find_dicom_files(tmp_path)
    assert dicom == [inner / "one"]
    assert {path.name for path in others} == {"short", "text.dcm"}


def test_send_of_a_folder_without_dicom_is_wrong_usage(onconode, tmp_path):
    folder = tmp_path / "empty"
    folder.mkdir()
    code, _, err = onconode("send", str(folder), "--to", "pacs")
    assert code == ExitCode.USAGE
    assert "no DICOM files" in err


PROBLEM = Problem(code="c", found="f", expected="e", remedy="r")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputRejected([PROBLEM]), ExitCode.INPUT_REJECTED),
        (TryLater("no answer"), ExitCode.TRY_LATER),
        (SetupFault("wrong", [PROBLEM]), ExitCode.SETUP_FAULT),
        (KeyboardInterrupt(), ExitCode.INTERRUPTED),
        (ValueError("bug"), ExitCode.BUG),
    ],
)
def test_each_kind_of_error_has_its_code_at_the_boundary(onconode, monkeypatch, error, code):
    def fail(_settings):
        raise error

    monkeypatch.setattr("node.cli.jobs.open_ledger", fail)
    ended, _, err = onconode("jobs", "list")
    assert ended == code == exit_code_of(error)
    assert ("Traceback" in err) == (code == ExitCode.BUG)


def test_bug_report_has_no_local_variables(onconode, monkeypatch):
    def fail(_settings):
        patient = "Doe^Jane"
        raise RuntimeError(len(patient))

    monkeypatch.setattr("node.cli.jobs.open_ledger", fail)
    _, _, err = onconode("jobs", "list")
    assert "RuntimeError" in err
    assert "please report" in err.lower()
    assert "Doe^Jane" not in err.replace('patient = "Doe^Jane"', "")


def test_starting_the_command_line_imports_nothing_heavy():
    heavy = ("tensorflow", "keras", "distributed", "pynetdicom", "pydicom", "sklearn", "SimpleITK")
    code = f"import sys, node.cli\nprint([name for name in {heavy!r} if name in sys.modules])\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_nested_figures_become_lines():
    figures = {"dice": {"median": 0.81234, "n": 12}, "note": "test patients"}
    assert list(flatten(figures)) == [
        ("dice.median", "0.8123"),
        ("dice.n", "12"),
        ("note", "test patients"),
    ]


def test_jobs_show_tells_why_a_result_is_flagged(onconode, ledger):
    flagged = {"flag": "growing", "lesion": 2, "reason": "1.00 to 1.50 ml"}
    job = add_job(ledger)
    assert "triage" not in onconode("jobs", "show", job.job_id)[1]  # there is no result yet
    ledger.claim("w")
    triage = {"flags": ["growing"], "raised": [flagged]}
    ledger.finish(job.job_id, "w", evidence=[], result={"triage": triage})
    assert "growing (lesion 2: 1.00 to 1.50 ml)" in onconode("jobs", "show", job.job_id)[1]


def test_jobs_show_tells_of_the_arrival(onconode, ledger):
    part = Part(labels={"EchoTime": "90"}, number=2, of=2, chosen_by="rule")
    limits = Completeness(arrival=Arrival.INCOMPLETE, missing=3, limitations=("3 are missing.",))
    job = ledger.add_job(
        study_instance_uid="1.2.9",
        series_instance_uids=("1.2.9.4",),
        bundle="brain-t1ce",
        rule="brain",
        destinations=("pacs",),
        calling_ae_title="MODALITY",
        content_digest="e" * 64,
        intake=Intake(completeness=limits, parts=(part,)),
    )
    code, out, _ = onconode("jobs", "show", job.job_id)
    assert code == 0
    assert "INCOMPLETE (3 missing) 3 are missing." in out
    assert "volume 2 of 2 in the series: EchoTime 90 (by rule)" in out
    code, out, _ = onconode("jobs", "show", job.job_id, "--json")
    told = json.loads(out)
    assert "INCOMPLETE" in json.dumps(told)
