"""Past studies through changed rules: from what assembling kept, or from their files."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from factories_config import PACS, RULE, write_config
from small_study import write_small_study
from sqlalchemy import select
from test_chain_assembling import receive

from node.assemble.headers import read_series
from node.assemble.select import sort_study
from node.bootstrap.assembling import Assembler
from node.bootstrap.configuring import apply_files
from node.bootstrap.parts import Parts
from node.bootstrap.purging import purge
from node.bootstrap.replaying import past_studies, replay
from node.cli import main
from node.config.load import load_settings
from node.config.settings import RoutingRule, SeriesMatch
from node.storage.database import reading
from node.storage.past_studies import PastStudies
from node.storage.tables import PastStudyRow

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
QUICK = "assemble: {quiet_time_s: 0}\n"


@pytest.fixture
def config_dir(tmp_path: Path) -> Path:
    return write_config(tmp_path, node=QUICK)


@pytest.fixture
def parts(config_dir: Path):
    parts = Parts(settings=load_settings(config_dir))
    yield parts
    parts.engine.dispose()


def rule(name: str, *, to: str = "pacs", bundle: str = "b", **match) -> RoutingRule:
    return RoutingRule(name=name, match=SeriesMatch(**match), bundle=bundle, destinations=(to,))


def test_with_no_day_to_keep_them_no_headers_are_kept(tmp_path):
    config = write_config(tmp_path, node=QUICK + "jobs: {keep_headers_days: 0}\n")
    parts = Parts(settings=load_settings(config))
    uid = receive(parts, write_small_study(tmp_path / "s"))
    Assembler(parts).tick()
    assert parts.ledger.list(study=uid)
    assert list(parts.past.since(LONG_AGO)) == []
    parts.engine.dispose()


def test_assembling_keeps_what_routing_asks_and_nothing_of_the_patient(parts, tmp_path):
    headers = {
        "PatientName": "DOE^JANE",
        "PatientID": "P-SEVEN",
        "StudyDescription": "Mrs Doe",
    }
    uid = receive(parts, write_small_study(tmp_path / "s", headers=headers))
    Assembler(parts).tick()
    (past,) = parts.past.since(LONG_AGO)
    assert past.study.study_instance_uid == uid
    whole = read_series(parts.store.received_of(uid))
    (series,), (kept,) = whole.series, past.study.series
    assert len(kept.instances) == len(series.instances)
    assert kept.attributes["SeriesDescription"] == series.attributes["SeriesDescription"]
    rules = parts.settings.routing
    chosen = [sort_study(study, rules).selections[0] for study in (whole, past.study)]
    assert chosen[0].series.series_instance_uid == chosen[1].series.series_instance_uid
    with reading(parts.engine) as session:
        (row,) = session.scalars(select(PastStudyRow))
        text = json.dumps(row.series)
    assert "DOE" not in text.upper()
    assert "P-SEVEN" not in text


def test_each_kind_of_change_is_told(parts, tmp_path):
    uid = receive(parts, write_small_study(tmp_path / "s"))
    Assembler(parts).tick()
    before = [rule("one", modality=("MR",))]

    def changed(*after: RoutingRule) -> tuple[str, ...]:
        studies = past_studies(parts, since=LONG_AGO)
        (replayed,) = replay(studies, before, after, parts)
        assert replayed.study_instance_uid == uid
        return replayed.changed

    assert changed(rule("one", modality=("M?",))) == ()
    assert changed(rule("one", modality=("CT",))) == ("dropped",)
    assert changed(rule("one", modality=("MR",), to="other")) == ("destinations",)
    assert changed(rule("one", modality=("MR",), bundle="c")) == ("bundle",)
    assert changed(rule("new", modality=("MR",)), before[0]) == ("rule",)
    (taken,) = replay(past_studies(parts, since=LONG_AGO), [], before, parts)
    assert taken.changed == ("taken",)


def test_studies_from_before_the_keeping_are_read_from_their_files(parts, tmp_path):
    uid = receive(parts, write_small_study(tmp_path / "s"))
    Assembler(parts).tick()
    parts.past.forget_before(datetime.now(UTC) + timedelta(days=1))
    assert list(parts.past.since(LONG_AGO)) == []
    (past,) = past_studies(parts, since=LONG_AGO)
    assert past.study.study_instance_uid == uid


def test_headers_outlive_the_files_and_go_after_their_own_time(parts, tmp_path):
    uid = receive(parts, write_small_study(tmp_path / "s"))
    Assembler(parts).tick()
    (job,) = parts.ledger.list(study=uid)
    parts.ledger.cancel(job.job_id)
    purge(parts, datetime.now(UTC) + timedelta(days=1))
    assert parts.store.received_of(uid) == ()
    (past,) = past_studies(parts, since=LONG_AGO)
    assert past.study.study_instance_uid == uid
    old = PastStudies(parts.engine, now=lambda: datetime.now(UTC) - timedelta(days=91))
    old.keep(past.study)
    purge(parts, LONG_AGO)
    assert list(past_studies(parts, since=LONG_AGO)) == []


def test_the_command_compares_with_what_is_in_effect(
    parts, config_dir, tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "250")
    uid = receive(parts, write_small_study(tmp_path / "s"))
    Assembler(parts).tick()

    def run(*arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main(["--config", str(config_dir), "config", "replay", *arguments])
        return int(ended.value.code or 0), capsys.readouterr().out

    code, out = run()
    assert code == 0
    assert "1 studies of 90 days: 0 would change" in out
    apply_files(config_dir)
    new = "  - {name: new, ae_title: NEW, host: 127.0.0.1, port: 4243}\n"
    write_config(tmp_path, node=QUICK, peers=PACS + new, rules=RULE.replace("[pacs]", "[new]"))
    code, out = run()
    assert code == 3
    assert uid in out
    assert "mr: brain-t1ce -> new" in out
    assert "1 would change (1 to other destinations)" in out

    other = tmp_path / "other.yaml"
    other.write_text("rules:\n" + RULE.replace("[MR]", "[CT]"))
    code, out = run(str(other), "--json")
    told = json.loads(out)
    assert code == 3
    assert (told["studies"], told["changed"], told["counts"]) == (1, 1, {"dropped": 1})
    (change,) = told["changes"]
    assert (change["before"]["rule"], change["after"]) == ("mr", None)
    other.write_text("rules:\n" + RULE.replace("[MR]", "MR"))
    assert run(str(other))[0] == 5
