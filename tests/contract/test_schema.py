"""Models and migrations agree, and opening is safe for several processes."""

import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from subprocess import run

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, inspect, text

from node.domain.errors import SetupFault
from node.storage.database import open_database
from node.storage.negotiations import NegotiationStore, PeerSyntax
from node.storage.tables import Table

OPEN = "import sys; from node.storage.database import open_database; open_database(sys.argv[1])"


def test_migrations_make_what_the_models_say(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Table.metadata) == []


def test_a_missing_column_would_be_seen(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE jobs DROP COLUMN stage"))
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Table.metadata) != []


def test_several_processes_may_open_an_empty_database_at_once(database_url: str) -> None:
    def open_it(_: int) -> str:
        argv = [sys.executable, "-c", OPEN, database_url]
        return run(argv, check=False, capture_output=True, text=True).stderr

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(open_it, range(3))) == ["", "", ""]
    assert "jobs" in inspect(open_database(database_url)).get_table_names()


def test_a_newer_schema_is_refused(engine: Engine, database_url: str) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SetupFault, match="9999"):
        open_database(database_url)


def test_what_peers_accepted_is_taken_over(engine: Engine, database_url: str) -> None:
    with engine.begin() as connection:  # as the schema was before
        connection.execute(text("DROP TABLE negotiations"))
        connection.execute(
            text(
                "CREATE TABLE peer_syntaxes (peer VARCHAR(64), sop_class_uid VARCHAR(64), "
                "transfer_syntax_uid VARCHAR(64), accepted BOOLEAN, "
                "negotiated_at TIMESTAMP WITH TIME ZONE)"
            )
        )
        connection.execute(
            text("INSERT INTO peer_syntaxes VALUES ('pacs', '1.2', '1.3', true, :at)"),
            {"at": "2026-11-01 12:00:00+00:00"},
        )
        connection.execute(text("UPDATE alembic_version SET version_num = '0011'"))
    upgraded = open_database(database_url)
    (kept,) = NegotiationStore(upgraded).history("pacs")
    assert kept.answer == PeerSyntax(sop_class_uid="1.2", transfer_syntax_uid="1.3", accepted=True)
    assert kept.since == datetime(2026, 11, 1, 12, tzinfo=UTC)
    assert "peer_syntaxes" not in inspect(upgraded).get_table_names()
    upgraded.dispose()
