"""Read ``node.yaml``, ``peers.yaml`` and ``routing.yaml`` once, into frozen settings."""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from node.config.checks import check_asked, check_node, check_peers, check_routing, list_entries
from node.config.checks_tls import check_tls
from node.config.document import Document, Location, read_document
from node.config.environment import overlay
from node.config.faults import list_faults
from node.config.files import FILES, NODE_FILE, check_files, check_list, find_config_dir
from node.config.settings import NodeSettings, Peer, RoutingRule, Settings, TlsSettings
from node.domain.errors import Problem, SetupFault

Model = TypeVar("Model", bound=BaseModel)

TLS_FILES = ("certificate", "key", "key_password_file", "ca")


def load_settings(
    config_dir: Path | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    home: Path | None = None,
    routing_file: Path | None = None,
) -> Settings:
    """Read the settings of a node.

    Relative paths in the files are relative to the parent of the directory (the repository root
    for ``dicom_conf/``); those in environment variables to the working directory. Paths in the
    result are absolute.

    Parameters
    ----------
    config_dir : Path, optional
        See ``find_config_dir``.
    environment : mapping, optional
        Instead of the process environment.
    home : Path, optional
        The directory that the files belong to, where ``config_dir`` holds copies of them.
    routing_file : Path, optional
        Read in the place of ``routing.yaml``.

    Raises
    ------
    SetupFault
        With one Problem for each fault in any of the files, each with file and line.
    """
    environment = os.environ if environment is None else environment
    directory = find_config_dir(config_dir, environment=environment)
    home = directory if home is None else home
    problems = check_files(directory)
    node_file, peers, routing = (_read(directory / name) for name in FILES)
    if routing_file is not None:
        routing = read_document(routing_file)
    for document in (node_file, peers, routing):
        problems.extend(document.problems)
    node = _overlay(node_file, environment)
    node_settings = _build(NodeSettings, node, (), problems) or NodeSettings()
    node_settings = _resolve_paths(node_settings, home, node.origin)
    settings = Settings(
        node=node_settings,
        peers=tuple(
            complete_peer(_resolve_peer(peer, home), node_settings.tls)
            for peer in _build_list(Peer, peers, "peers", problems)
        ),
        routing=_build_list(RoutingRule, routing, "rules", problems),
    )
    problems.extend(check_node(node))
    problems.extend(check_peers(peers, node))
    problems.extend(check_asked(peers, node))
    problems.extend(check_tls(node, peers, base=home.resolve().parent))
    if routing.path.exists() and routing.readable:
        models_dir = _find_models_dir(node, home)
        problems.extend(check_routing(routing, peers, node, models_dir=models_dir))
    if problems:
        count = f"{len(problems)} fault{'s' if len(problems) > 1 else ''}"
        raise SetupFault(f"{count} in the configuration {directory}", _in_order(problems))
    return settings


def load_node_settings(
    config_dir: Path, *, home: Path, environment: Mapping[str, str] | None = None
) -> NodeSettings:
    """Read ``node.yaml`` alone, as ``load_settings`` does, without asking what else is there.

    Raises
    ------
    SetupFault
        With one Problem for each fault in the file.
    """
    environment = os.environ if environment is None else environment
    node = _overlay(_read(config_dir / NODE_FILE), environment)
    problems = [*node.problems]
    settings = _build(NodeSettings, node, (), problems)
    if problems or settings is None:
        raise SetupFault(f"{config_dir / NODE_FILE} cannot be used", problems)
    return _resolve_paths(settings, home, node.origin)


def _overlay(document: Document, environment: Mapping[str, str]) -> Document:
    if not isinstance(document.value, dict):
        return document
    value, origin = overlay(document.value, environment)
    return replace(document, value=value, origin=origin)


def _read(path: Path) -> Document:
    return read_document(path) if path.exists() else Document(path=path, value={})


def _build(
    model: type[Model], document: Document, location: Location, problems: list[Problem]
) -> Model | None:
    value = document.value
    for part in location:
        value = value[part]
    try:
        # JSON, because pydantic's strict mode then takes a list for a tuple and text for a path,
        # and still no "11112" for a port.
        text = json.dumps(_drop_nulls(value, model))
        return model.model_validate_json(text, strict=True)
    except ValidationError as fault:
        problems.extend(list_faults(fault, document, model, location))
        return None


def _build_list(
    model: type[Model], document: Document, key: str, problems: list[Problem]
) -> tuple[Model, ...]:
    problems.extend(check_list(document, key))
    built = (_build(model, document, (key, i), problems) for i, _ in list_entries(document, key))
    return tuple(item for item in built if item is not None)


def _drop_nulls(value: Any, model: Any) -> Any:
    """Leave out known keys without a value, such as a section whose lines are all comments."""
    if not isinstance(value, dict):
        return value
    result = {}
    for key, item in value.items():
        if item is None and key in model.model_fields:
            continue
        inner = model.model_fields[key].annotation if key in model.model_fields else None
        is_section = isinstance(inner, type) and issubclass(inner, BaseModel)
        result[key] = _drop_nulls(item, inner) if is_section and inner else item
    return result


def _resolve_paths(
    settings: NodeSettings, directory: Path, origin: Mapping[Location, str]
) -> NodeSettings:
    paths = {
        key: _resolve(getattr(settings, key), directory, from_variable=(key,) in origin)
        for key in ("data_dir", "models_dir")
    }
    tls = settings.tls.model_copy(update=_resolve_files(settings.tls, TLS_FILES, directory))
    return settings.model_copy(update={**paths, "tls": tls})


def _resolve_peer(peer: Peer, directory: Path) -> Peer:
    files = [f"tls_{key}" for key in TLS_FILES]
    return peer.model_copy(update=_resolve_files(peer, files, directory))


def _resolve_files(
    settings: BaseModel, keys: Iterable[str], directory: Path
) -> dict[str, Path | None]:
    return {
        key: _resolve(path, directory, from_variable=False) if path is not None else None
        for key, path in ((key, getattr(settings, key)) for key in keys)
    }


def complete_peer(peer: Peer, tls: TlsSettings) -> Peer:
    """Give a peer with TLS the node's own files where it names none.

    Certificate, key and password belong together: a peer has all three of its own, or none.
    """
    if not peer.tls:
        return peer
    own: dict[str, Path | None] = {"tls_ca": peer.tls_ca or tls.ca}
    if peer.tls_certificate is None:
        own |= {
            "tls_certificate": tls.certificate,
            "tls_key": tls.key,
            "tls_key_password_file": tls.key_password_file,
        }
    return peer.model_copy(update=own)


def _find_models_dir(node: Document, directory: Path) -> Path | None:
    """Return models_dir also when something else in node.yaml is wrong; None if it is unknown."""
    value = node.value.get("models_dir", "models") if isinstance(node.value, dict) else None
    if not node.readable or not isinstance(value, str):
        return None
    return _resolve(Path(value), directory, from_variable=("models_dir",) in node.origin)


def _resolve(path: Path, directory: Path, *, from_variable: bool) -> Path:
    base = Path.cwd() if from_variable else directory.resolve().parent
    return base / path.expanduser()


def _in_order(problems: list[Problem]) -> list[Problem]:
    """Sort by file and line, as one mends them."""

    def key(problem: Problem) -> tuple[str, int]:
        file, _, line = problem.tag.rpartition(":")
        return (file, int(line)) if line.isdecimal() else (problem.tag, 0)

    return sorted(problems, key=key)
