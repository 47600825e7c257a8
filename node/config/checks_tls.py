"""Checks of TLS: files that are there, pairs that belong together, ports that differ.

Whether a key fits its certificate and who signed it is seen when they are loaded.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from node.config.checks import list_entries
from node.config.document import Document, Location
from node.config.settings import NodeSettings, TlsSettings
from node.domain.errors import Problem


def check_tls(node: Document, peers: Document, *, base: Path) -> Iterator[Problem]:
    """Check ``tls:`` of ``node.yaml`` and the TLS keys of the peers.

    Parameters
    ----------
    node, peers : Document
    base : Path
        Where relative paths start.
    """
    top = node.value if isinstance(node.value, dict) else {}
    section = top.get("tls")
    tls: Mapping[str, Any] = section if isinstance(section, dict) else {}
    yield from _check_files(node, ("tls",), tls, "", base)
    yield from _check_pair(node, ("tls",), tls, "")
    is_listening = bool(tls.get("certificate")) and tls.get("listen", "beside") != "never"
    if is_listening and tls.get("require_client_certificate", True) and not tls.get("ca"):
        yield _missing_ca(node.place(("tls",)), "tls.ca", "tls.require_client_certificate to false")
    if tls.get("listen") == "only" and not tls.get("certificate"):
        yield Problem(
            code="no-certificate",
            tag=node.place(("tls", "listen")),
            found="only TLS is to be listened on, and there is no certificate",
            expected="tls.certificate and tls.key",
            remedy="name both files, or set tls.listen to beside",
        )
    ports = top.get("port", NodeSettings().port), tls.get("port", TlsSettings().port)
    if is_listening and tls.get("listen") != "only" and ports[0] == ports[1] != 0:
        yield Problem(
            code="port-clash",
            tag=node.place(("tls", "port")),
            found=f"port {ports[1]} for TLS, which is that without TLS too",
            expected="a port of its own",
            remedy="change one of the two, or set tls.listen to only",
        )
    for i, peer in list_entries(peers, "peers"):
        place = ("peers", i)
        yield from _check_files(peers, place, peer, "tls_", base)
        yield from _check_pair(peers, place, peer, "tls_")
        if peer.get("tls") is True and not peer.get("tls_ca") and not tls.get("ca"):
            yield _missing_ca(peers.place(place), "tls_ca", "tls to false")


def _check_files(
    document: Document, place: Location, values: Mapping[str, Any], prefix: str, base: Path
) -> Iterator[Problem]:
    for name in ("certificate", "key", "key_password_file", "ca"):
        text = values.get(prefix + name)
        if isinstance(text, str) and not (base / Path(text).expanduser()).is_file():
            yield Problem(
                code="missing-file",
                tag=document.place((*place, prefix + name)),
                found=f"{text}, which is no file",
                expected="a file in PEM format" if name != "key_password_file" else "a text file",
                remedy="correct the path; a relative one starts at the parent of this directory",
            )


def _check_pair(
    document: Document, place: Location, values: Mapping[str, Any], prefix: str
) -> Iterator[Problem]:
    names = f"{prefix}certificate", f"{prefix}key"
    present = [name for name in names if values.get(name)]
    if len(present) == 1:
        (other,) = set(names) - set(present)
        yield Problem(
            code="incomplete-tls",
            tag=document.place((*place, present[0])),
            found=f"{present[0]} without {other}",
            expected="certificate and key together",
            remedy=f"name {other} too",
        )


def _missing_ca(place: str, key: str, switch: str) -> Problem:
    return Problem(
        code="no-authority",
        tag=place,
        found="no file of the authorities whose certificates are trusted",
        expected=f"{key}: the system's own list is for web sites and not used",
        remedy=f"name the file, or set {switch}",
    )
