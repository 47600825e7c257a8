"""The node itself: configuration, folders, disk, database, models, port, certificates."""

import os
import socket
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from node.bootstrap.certificates import list_certificates, readable_keys
from node.bootstrap.doctor.sheet import NODE, Line, Mark
from node.bootstrap.parts import Parts
from node.bootstrap.purging import disk_room
from node.config.advice import list_warnings
from node.config.settings import DeliverSettings, NodeSettings, Peer, Settings
from node.deliver.c_echo import echo
from node.domain.errors import Problem, SetupFault, TryLater
from node.durable import make_private_folder
from node.jobs.supervisor import is_held
from node.storage.database import open_as_it_is, sqlite_url
from node.storage.migrate import known_schemas, newest_schema, schema_of
from node.storage.usage import MEGABYTE

ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, nothing binds here
QUICK = DeliverSettings(acse_timeout_s=5, dimse_timeout_s=5)


def tell_faults(problems: tuple[Problem, ...], summary: str) -> Iterator[Line]:
    """Tell why the configuration cannot be used."""
    for problem in problems or (None,):
        yield _line(
            "configuration",
            Mark.FAIL,
            problem.tag if problem else "node.yaml, peers.yaml, routing.yaml",
            problem.found if problem else summary,
            problem.remedy if problem else "onconode config check tells more",
        )


def check_configuration(settings: Settings, config_dir: Path) -> Iterator[Line]:
    """Tell the warnings about files that have no faults."""
    warnings = list_warnings(settings, config_dir)
    told = f"no faults, {len(warnings)} warnings" if warnings else "no faults, no warnings"
    yield _line(
        "configuration",
        Mark.WARN if warnings else Mark.PASS,
        f"node.yaml, peers.yaml and routing.yaml in {config_dir}",
        told,
        "onconode config check" if warnings else "",
    )


def check_folders(node: NodeSettings) -> Iterator[Line]:
    """Write a file into the data folder, and remove it."""
    tried = f"a file in {node.data_dir}"
    try:
        make_private_folder(node.data_dir)
        with tempfile.TemporaryFile(dir=node.data_dir) as file:
            file.write(b"doctor")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        remedy = "let the node's user own data_dir; run doctor as that user, too"
        yield _line("data folder", Mark.FAIL, tried, error.strerror or str(error), remedy)
    else:
        yield _line("data folder", Mark.PASS, tried, "can be written")


def check_disk(parts: Parts) -> Line:
    """Compare the free space with the marks."""
    tried = f"free space of {parts.settings.node.data_dir}"
    try:
        room = disk_room(parts)
        free = room.free_bytes()
    except OSError as error:
        return _line("disk", Mark.FAIL, tried, error.strerror or str(error), "see data folder")
    soft, hard = room.marks.soft_bytes, room.marks.hard_bytes
    found = (
        f"{free // MEGABYTE} MB free; soft mark {soft // MEGABYTE} MB, hard {hard // MEGABYTE} MB"
    )
    if free < hard:
        return _line("disk", Mark.FAIL, tried, found, "make room: objects are refused with 0xA700")
    if free < soft:
        return _line("disk", Mark.FAIL, tried, found, "make room: studies are refused for now")
    if free < 2 * soft:
        return _line("disk", Mark.WARN, tried, found, "make room soon")
    return _line("disk", Mark.PASS, tried, found)


def open_ledger(settings: Settings) -> tuple[Engine | None, Line]:
    """Open the database without changing it, and compare its schema with the program's."""
    node = settings.node
    tried = "PostgreSQL" if node.database_url.startswith("postgresql") else "SQLite in data_dir"
    tried = f"{tried}: connection and schema"
    try:
        engine = open_as_it_is(node.database_url or sqlite_url(node.data_dir))
    except TryLater as reason:
        if not node.database_url and not (node.data_dir / "onconode.db").is_file():
            found = "there is none yet; the first start of the node makes it"
            return None, _line("database", Mark.SKIP, tried, found)
        remedy = "start the server, or restore a backup: dicom_conf/runbook.md"
        return None, _line("database", Mark.FAIL, tried, str(reason), remedy)
    try:
        with engine.connect() as connection:
            found_schema = schema_of(connection)
    except SQLAlchemyError as error:
        remedy = "restore a backup: dicom_conf/runbook.md"
        return None, _line("database", Mark.FAIL, tried, type(error).__name__, remedy)
    newest = newest_schema()
    if found_schema == newest:
        found = f"answers; schema {newest}, the newest"
        return engine, _line("database", Mark.PASS, tried, found)
    if found_schema and found_schema not in known_schemas():
        found = f"schema {found_schema} is of a newer version of the node"
        return engine, _line("database", Mark.FAIL, tried, found, "install that version")
    found = f"schema {found_schema or 'none'}, this program has {newest}"
    remedy = "back up; the next start of the node brings it up to date"
    return engine, _line("database", Mark.WARN, tried, found, remedy)


def check_models(parts: Parts, *, golden: bool) -> Iterator[Line]:
    """Check the bundles that rules name: their files, and what comes out of the golden input."""
    for name in dict.fromkeys(rule.bundle for rule in parts.settings.routing):
        tried = f"{name}: checksums" + (" and golden input" if golden else "")
        try:
            bundle = parts.models.get(name)
            if golden:
                from node.bootstrap.verification import verify_bundle

                verify_bundle(bundle)
        except SetupFault as fault:
            found = "; ".join([fault.summary, *(problem.found for problem in fault.problems)])
            remedy = "put the bundle back as it was packaged; onconode models verify tells more"
            yield _line("models", Mark.FAIL, tried, found, remedy)
        else:
            yield _line("models", Mark.PASS, tried, "as they were packaged")


def check_port(parts: Parts) -> Line:  # noqa: PLR0911 - one for each answer
    """See who listens on the node's port: itself, somebody else, or nobody."""
    node = parts.settings.node
    runs = is_held(parts.run_dir / "supervisor.lock")
    peer = own_listener(parts.settings)
    if peer is None:
        return _line(
            "port", Mark.SKIP, "node.yaml", "port is 0: the system chooses one at each start"
        )
    tried = f"port {peer.port}: C-ECHO to the node's own AE title"
    try:
        with socket.create_connection((peer.host, peer.port), timeout=QUICK.acse_timeout_s):
            pass
    except OSError:
        if runs:
            remedy = "look into the log: journalctl -u onconode"
            found = "a node runs on this data_dir, and nobody listens"
            return _line("port", Mark.FAIL, tried, found, remedy)
        return _line("port", Mark.PASS, tried, "free; no node runs on this data_dir")
    try:
        seconds = echo(peer, calling_ae_title=node.ae_title, settings=QUICK)
    except TryLater as reason:
        said = str(reason).removeprefix(f"{peer.name}: ")
        if runs and "rejected" in said:
            found = f"a node runs, and does not let its own AE title in: {said}"
            return _line("port", Mark.PASS, tried, found)
        remedy = "stop the program that has the port, or set another port in node.yaml"
        found = f"taken by somebody who does not answer as this node: {said}"
        return _line("port", Mark.FAIL, tried, found, remedy)
    if not runs:
        remedy = "another node, or another data_dir: stop it, or set another port"
        found = "answered, but no node runs on this data_dir"
        return _line("port", Mark.FAIL, tried, found, remedy)
    return _line("port", Mark.PASS, tried, f"the running node answered in {seconds * 1000:.0f} ms")


def check_certificates(settings: Settings) -> Iterator[Line]:
    """Tell when each certificate that the files name ends, and who can read keys."""
    node = settings.node
    try:
        certificates = list_certificates(settings)
    except SetupFault as fault:
        yield _line("certificates", Mark.FAIL, "every file named", str(fault), "correct the path")
        return
    if not certificates:
        yield _line("certificates", Mark.SKIP, "node.yaml, peers.yaml", "none is configured")
    for each in certificates:
        days = each.certificate.days_left(datetime.now(UTC))
        found = f"{each.certificate.subject} ends {each.certificate.not_after:%Y-%m-%d}"
        if days < 0:
            mark, remedy = Mark.FAIL, "put a new one in its place; no restart is needed"
        elif days < node.tls.warn_days:
            mark, remedy = Mark.WARN, f"renew it within {int(days)} days"
        else:
            mark, remedy = Mark.PASS, ""
        yield _line("certificates", mark, each.purpose, found, remedy)
    for path in readable_keys(settings):
        yield _line("keys", Mark.WARN, str(path), "others can read it", f"chmod 600 {path}")


def own_listener(settings: Settings) -> Peer | None:
    """Return the node as it is reached from this host; None where its port is not known."""
    node = settings.node
    only_tls = node.tls.is_listening and node.tls.listen == "only"
    port = node.tls.port if only_tls else node.port
    if port == 0:
        return None
    return Peer(
        name="this-node",
        ae_title=node.ae_title,
        host=ANY_ADDRESS.get(node.bind_address, node.bind_address),
        port=port,
        tls=only_tls,
        tls_ca=node.tls.ca,
        tls_certificate=node.tls.certificate,
        tls_key=node.tls.key,
        tls_key_password_file=node.tls.key_password_file,
        tls_check_host=False,  # it names the host as others call it
    )


def _line(check: str, mark: Mark, tried: str, found: str, remedy: str = "") -> Line:
    return Line(about=NODE, check=check, mark=mark, tried=tried, found=found, remedy=remedy)
