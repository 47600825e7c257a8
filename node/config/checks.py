"""Checks that need more than one key: names that must agree, ports that must not.

They look at what was written, not at validated settings, so that a file with a wrong type in one
place is still checked in all others and the operator sees every fault at once.
"""

import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from node.config.document import Document, Location, read_document
from node.config.settings import OWN_ARCHIVE, JobSettings, NodeSettings
from node.domain.errors import Problem

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1", "0.0.0.0", "::"})  # noqa: S104 - compared with, nothing binds here


def check_peers(peers: Document, node: Document) -> Iterator[Problem]:
    """Names once; one AE title per host once; no peer on the node's own port."""
    entries = list_entries(peers, "peers")
    yield from _check_once(peers, "peers", entries, "duplicate-peer", "name")
    seen: dict[tuple[str, str], int] = {}
    for i, entry in entries:
        title, host = entry.get("ae_title"), entry.get("host", "127.0.0.1")
        if isinstance(title, str) and isinstance(host, str):
            first = seen.setdefault((title.strip(), host.lower()), i)
            if first != i:
                yield Problem(
                    code="peer-clash",
                    tag=peers.place(("peers", i)),
                    found=f"AE title {title!r} on host {host!r} again (peer {first + 1} has it)",
                    expected="one entry for each AE title of a host",
                    remedy="take one of the two out",
                )
    if not node.readable or not isinstance(node.value, dict):
        return
    if node.value.get("accept_unknown_peers") is False and peers.readable and not entries:
        yield Problem(
            code="nobody-may-send",
            tag=node.place(("accept_unknown_peers",)),
            found="accept_unknown_peers: false, and no peer in peers.yaml",
            expected="somebody who may send",
            remedy="add the senders to peers.yaml, or set accept_unknown_peers to true",
        )
    port = node.value.get("port", NodeSettings.model_fields["port"].default)
    address = node.value.get("bind_address", "127.0.0.1")
    for i, entry in entries:
        host = entry.get("host", "127.0.0.1")
        here = host in LOOPBACK or host == address
        if here and port and entry.get("port", 104) == port:
            yield Problem(
                code="port-clash",
                tag=peers.place(("peers", i, "port")),
                found=f"port {port} on this host, which is the node's own",
                expected="another port than node.yaml's",
                remedy=f"change this port, or 'port' in {node.place(('port',))}",
            )


ASKED = (("assemble", "ask_peers", ()), ("priors", "look_in", (OWN_ARCHIVE,)))
"""Where ``node.yaml`` names archives that are asked, and what else may stand there."""


def check_asked(peers: Document, node: Document) -> Iterator[Problem]:
    """Peers that are asked for counts, or for earlier examinations, are known."""
    for section, key, others in ASKED:
        yield from _check_asked(peers, node, section, key, others)


def _check_asked(
    peers: Document, node: Document, part: str, key: str, others: Sequence[str]
) -> Iterator[Problem]:
    section = node.value.get(part) if isinstance(node.value, dict) else None
    asked = section.get(key) if isinstance(section, dict) else None
    entries = [entry for _, entry in list_entries(peers, "peers") if "name" in entry]
    known = [str(entry["name"]) for entry in entries if not {"hl7", "fhir"} & set(entry)]
    for i, name in enumerate(asked if isinstance(asked, list) and peers.readable else []):
        if isinstance(name, str) and name not in (*known, *others):
            place = node.place((part, key, i))
            yield _unknown("unknown-peer", place, name, known, "peers.yaml")


def check_routing(
    routing: Document, peers: Document, node: Document, *, models_dir: Path | None
) -> Iterator[Problem]:
    """Rules exist, are named once, ask for something, and name known bundles and peers."""
    rules = list_entries(routing, "rules")
    if isinstance(routing.value, dict) and routing.value.get("rules") in (None, []):
        yield Problem(
            code="no-rules",
            tag=routing.place(("rules",)),
            found="no rule",
            expected="at least one; without it nothing is ever analysed",
            remedy="add a rule",
        )
    yield from _check_once(routing, "rules", rules, "duplicate-rule", "name")
    bundles = list_bundles(models_dir) if models_dir else []
    if rules and models_dir and not bundles:
        yield Problem(
            code="no-bundles",
            tag=node.place(("models_dir",)),
            found=f"no <task>/<version>/bundle.yaml in {models_dir}",
            expected="at least one model bundle",
            remedy="correct models_dir, or put a bundle there",
        )
    names = [entry["name"] for _, entry in list_entries(peers, "peers") if "name" in entry]
    for i, rule in rules:
        yield from _check_match(routing, i, rule)
        bundle = rule.get("bundle")
        if bundles and isinstance(bundle, str) and bundle not in bundles:
            place = routing.place(("rules", i, "bundle"))
            yield _unknown("unknown-bundle", place, bundle, bundles, str(models_dir))
        elif models_dir and isinstance(bundle, str) and isinstance(rule.get("roles"), dict):
            yield from _check_roles(routing, i, rule["roles"], list_roles(models_dir, bundle))
        if peers.readable:
            yield from _check_destinations(routing, i, rule.get("destinations"), names)


def check_node(node: Document) -> Iterator[Problem]:
    """Pairs of numbers of which one bounds the other."""
    for section in ("jobs", "deliver"):
        values = node.value.get(section) if isinstance(node.value, dict) else None
        if not isinstance(values, dict):
            continue
        least = values.get("retry_backoff_s", JobSettings().retry_backoff_s)
        most = values.get("retry_backoff_maximum_s", JobSettings().retry_backoff_maximum_s)
        if all(isinstance(n, int | float) for n in (least, most)) and least > most:
            yield Problem(
                code="bad-value",
                tag=node.place((section, "retry_backoff_maximum_s")),
                found=f"{section}.retry_backoff_maximum_s: {most}",
                expected=f"at least {section}.retry_backoff_s, which is {least}",
                remedy="correct one of the two",
            )


def list_entries(document: Document, key: str) -> list[tuple[int, dict[str, Any]]]:
    """Return the mappings in the list under ``key``, with their index."""
    entries = document.value.get(key) if isinstance(document.value, dict) else None
    if not isinstance(entries, list):
        return []
    return [(i, entry) for i, entry in enumerate(entries) if isinstance(entry, dict)]


def list_bundles(models_dir: Path) -> list[str]:
    """Return what a rule may name: each ``task`` and each ``task/version`` with a manifest."""
    names: set[str] = set()
    for manifest in models_dir.glob("*/*/bundle.yaml"):
        version = manifest.parent
        names |= {version.parent.name, f"{version.parent.name}/{version.name}"}
    return sorted(names)


def list_roles(models_dir: Path, bundle: str) -> list[str]:
    """Return the roles of a bundle: of all its versions, where only the task is named."""
    names: list[str] = []
    pattern = bundle if "/" in bundle else f"{bundle}/*"
    for manifest in sorted(models_dir.glob(f"{pattern}/bundle.yaml")):
        value = read_document(manifest).value
        roles = value.get("roles") if isinstance(value, dict) else None
        names += [
            role["name"]
            for role in (roles if isinstance(roles, list) else [])
            if isinstance(role, dict) and isinstance(role.get("name"), str)
        ]
    return sorted(set(names))


def _check_roles(
    routing: Document, i: int, roles: dict[Any, Any], known: Sequence[str]
) -> Iterator[Problem]:
    for name in roles:
        if name not in known:
            place = routing.place(("rules", i, "roles", name))
            yield _unknown("unknown-role", place, str(name), known, "roles of the bundle")


def _check_match(routing: Document, i: int, rule: dict[str, Any]) -> Iterator[Problem]:
    match = rule.get("match")
    if isinstance(match, dict) and not any(value not in (None, []) for value in match.values()):
        yield Problem(
            code="empty-match",
            tag=routing.place(("rules", i, "match")),
            found="a rule without conditions",
            expected="at least one condition; this rule would take every series",
            remedy="add a condition such as 'modality: [MR]'",
        )
    titles = match.get("calling_ae") if isinstance(match, dict) else None
    for j, title in enumerate(titles if isinstance(titles, list) else []):
        if isinstance(title, str) and (len(title.strip()) > 16 or "\\" in title):
            yield Problem(
                code="bad-ae-title",
                tag=routing.place(("rules", i, "match", "calling_ae", j)),
                found=f"calling_ae: {title!r}",
                expected="at most 16 characters without backslash; no sender can match this",
                remedy="correct the AE title",
            )


def _check_destinations(
    routing: Document, i: int, destinations: Any, names: Sequence[Any]
) -> Iterator[Problem]:
    if not isinstance(destinations, list):
        return
    for j, name in enumerate(destinations):
        place = routing.place(("rules", i, "destinations", j))
        if isinstance(name, str) and name not in names:
            known = [str(known) for known in names]
            yield _unknown("unknown-destination", place, name, known, "peers.yaml")
        elif name in destinations[:j]:
            yield Problem(
                code="duplicate-destination",
                tag=place,
                found=f"{name!r} twice",
                expected="each destination once",
                remedy="take one out",
            )


def _check_once(
    document: Document,
    key: str,
    entries: Sequence[tuple[int, dict[str, Any]]],
    code: str,
    field: str,
) -> Iterator[Problem]:
    seen: dict[str, Location] = {}
    for i, entry in entries:
        name = entry.get(field)
        if not isinstance(name, str):
            continue
        location = (key, i, field)
        if name in seen:
            yield Problem(
                code=code,
                tag=document.place(location),
                found=f"{name!r} again (first at {document.place(seen[name])})",
                expected=f"a {field} of its own for each entry",
                remedy="rename or remove one of the two",
            )
        seen.setdefault(name, location)


def _unknown(code: str, place: str, name: str, known: Sequence[str], where: str) -> Problem:
    close = difflib.get_close_matches(name, known, n=1)
    return Problem(
        code=code,
        tag=place,
        found=repr(name),
        expected="one of " + (", ".join(known) or "none, as none is defined") + f" ({where})",
        remedy=f"did you mean {close[0]!r}?" if close else "correct the name or add it there",
    )
