"""Opening databases and keeping time; the rest is in the contract suite."""

import stat
import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.dialects import sqlite

from node.domain.errors import SetupFault, TryLater
from node.storage.clock import UtcDateTime, utc_now
from node.storage.database import open_database, reading, sqlite_url, writing
from node.storage.tables import StudyRow


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return open_database(sqlite_url(tmp_path))


def test_sqlite_is_durable_and_checks_its_references(engine: Engine) -> None:
    with engine.connect() as connection:
        found = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    full = 2
    expected = {
        "journal_mode": "wal",
        "synchronous": full,
        "foreign_keys": 1,
        "busy_timeout": 30_000,
    }
    assert found == expected


def test_a_writing_session_rolls_back_as_a_whole(engine: Engine) -> None:
    study = StudyRow(study_instance_uid="1.2", last_received_at=utc_now())

    def break_off() -> None:
        with writing(engine) as session:
            session.add(study)
            session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_off()
    with reading(engine) as session:
        assert session.get(StudyRow, "1.2") is None


def test_a_reader_is_not_held_up_by_a_writer(engine: Engine) -> None:
    with writing(engine) as writer:
        writer.add(StudyRow(study_instance_uid="1.2", last_received_at=utc_now()))
        writer.flush()
        with reading(engine) as reader:
            assert reader.get(StudyRow, "1.2") is None


def test_writers_of_one_process_queue(engine: Engine) -> None:
    entered = threading.Event()

    def write() -> None:
        with writing(engine):
            entered.set()

    other = threading.Thread(target=write)
    with writing(engine):
        other.start()
        assert not entered.wait(0.1)
    other.join(10)
    assert entered.is_set()


def test_not_a_number_is_refused_on_sqlite_as_on_postgresql(engine: Engine) -> None:
    with pytest.raises(ValueError, match="JSON"):
        engine.dialect._json_serializer({"volume_ml": float("nan")})  # type: ignore[attr-defined]  # SQLAlchemy keeps it there


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("mysql://localhost/onconode", "mysql"),
        ("sqlite://", "file"),
        ("sqlite:///:memory:", "file"),
        ("not a url", "cannot be used"),
    ],
)
def test_a_wrong_url_is_the_operators_business(url: str, told: str) -> None:
    with pytest.raises(SetupFault, match=told):
        open_database(url)


def test_a_directory_that_cannot_be_made_is_the_operators_business(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SetupFault, match="cannot be"):
        open_database(f"sqlite:///{tmp_path}/file/onconode.db")


def test_a_file_that_is_no_database_is_the_operators_business(tmp_path: Path) -> None:
    (tmp_path / "onconode.db").write_bytes(b"not a database" * 100)
    with pytest.raises(SetupFault, match="is not a database"):
        open_database(sqlite_url(tmp_path))


def test_a_server_that_does_not_answer_is_tried_later() -> None:
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    with pytest.raises(TryLater, match="does not answer"):
        open_database("postgresql+psycopg://nobody@127.0.0.1:9/none?connect_timeout=2")


def test_times_go_in_and_out_as_utc() -> None:
    column, dialect = UtcDateTime(), sqlite.dialect()
    east = datetime(2025, 3, 1, 20, tzinfo=timezone(timedelta(hours=8)))
    stored = column.process_bind_param(east, dialect)
    assert stored == datetime(2025, 3, 1, 12)
    assert column.process_result_value(stored, dialect) == datetime(2025, 3, 1, 12, tzinfo=UTC)
    with pytest.raises(ValueError, match="naive"):
        column.process_bind_param(datetime(2025, 3, 1), dialect)


def test_the_database_lies_in_the_data_directory(tmp_path: Path) -> None:
    open_database(sqlite_url(tmp_path / "data"))
    assert stat.S_ISREG((tmp_path / "data" / "onconode.db").stat().st_mode)
