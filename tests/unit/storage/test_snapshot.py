"""Copying the SQLite database under a writer, and moving its paths."""

import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest
from sqlalchemy import Table as SqlTable

from node.domain.errors import SetupFault
from node.storage.clock import utc_now
from node.storage.database import open_database, sqlite_url, writing
from node.storage.relocate import PATHS, relocate
from node.storage.snapshot import copy_sqlite
from node.storage.tables import QuarantinedRow, StudyRow, Table

WRITER = """
import sys
from pathlib import Path
from node.storage.database import open_database, sqlite_url, writing
from node.storage.tables import QuarantinedRow, StudyRow
from node.storage.clock import utc_now
engine = open_database(sqlite_url(Path(sys.argv[1])))
number = 0
while True:
    with writing(engine) as session:
        for table in (1, 2):
            if table == 1:
                session.add(StudyRow(study_instance_uid=f"1.{number}", last_received_at=utc_now()))
            else:
                session.add(QuarantinedRow(
                    path="x" * 500, calling_ae_title="A", status=0, sop_instance_uid="1",
                    problems=[], received_at=utc_now(),
                ))
            session.flush()
    number += 1
    print(number, flush=True)
"""


def rows(place: Path, table: str) -> int:
    connection = sqlite3.connect(place)
    try:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
    finally:
        connection.close()


def test_a_copy_under_a_writer_is_one_moment_and_holds_the_writer_up_little(tmp_path):
    open_database(sqlite_url(tmp_path)).dispose()
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        seen, told = [], 0
        for number in range(5):
            target = int(writer.stdout.readline()) + 20
            while told < target:  # it goes on writing between the copies
                told = int(writer.stdout.readline())
            copy = tmp_path / f"copy{number}"
            copy_sqlite(tmp_path / "onconode.db", copy)
            studies, quarantined = rows(copy, "studies"), rows(copy, "quarantined_objects")
            assert studies == quarantined  # never the half of a transaction
            assert studies >= told  # nothing that was committed before is missing
            seen.append(studies)
        assert seen == sorted(set(seen))
    finally:
        writer.kill()
        writer.wait()
        writer.stdout.close()
    assert not list(tmp_path.glob("copy*-wal"))


def test_a_damaged_database_is_never_taken_for_a_backup(tmp_path):
    engine = open_database(sqlite_url(tmp_path))
    with writing(engine) as session:
        for number in range(500):
            session.add(StudyRow(study_instance_uid=f"1.{number}", last_received_at=utc_now()))
    engine.dispose()
    place = tmp_path / "onconode.db"
    data = bytearray(place.read_bytes())
    pages = len(data) // 4096
    for page in range(pages // 2, pages):
        data[page * 4096 : page * 4096 + 200] = b"\xff" * 200
    place.write_bytes(data)
    with pytest.raises(SetupFault) as fault:
        copy_sqlite(place, tmp_path / "copy")
    assert fault.value.problems[0].code == "damaged-database"


def test_every_table_with_paths_is_relocated():
    with_path = {mapper.class_ for mapper in Table.registry.mappers if "path" in mapper.columns}
    assert with_path == set(PATHS)
    for mapper in Table.registry.mappers:
        table = cast("SqlTable", mapper.class_.__table__)
        others = {
            name
            for name in [column.name for column in table.columns]
            if "path" in name or "folder" in name
        }
        assert others <= {"path"}, table.name


def test_paths_below_one_folder_move_and_no_others(tmp_path):
    engine = open_database(sqlite_url(tmp_path))
    paths = ["/var/a/data/quarantine/1", "/var/a/data2/1", "/else/var/a/data/1", "/var/a/data"]
    with writing(engine) as session:
        for path in paths:
            session.add(
                QuarantinedRow(
                    path=path,
                    calling_ae_title="A",
                    status=0,
                    sop_instance_uid="1",
                    problems=[],
                    received_at=utc_now(),
                )
            )
    assert relocate(engine, before=Path("/var/a/data"), after=Path("/srv/%s_x")) == 1
    with writing(engine) as session:
        found = [row.path for row in session.query(QuarantinedRow).order_by("quarantined_id")]
    assert found == ["/srv/%s_x/quarantine/1", *paths[1:]]
