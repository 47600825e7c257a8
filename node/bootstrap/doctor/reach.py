"""Whether a peer can be reached: TCP, TLS, C-ECHO."""

import re
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from urllib.parse import urlsplit

from node.bootstrap.doctor.sheet import Line, Mark
from node.config.settings import DeliverSettings, Peer, Settings
from node.deliver.c_echo import echo
from node.dicom.certificate import SECONDS_PER_DAY, name_of, read_certificates, soonest
from node.dicom.tls import TlsFiles, client_context, explain
from node.domain.errors import SetupFault, TryLater

CONNECT_TIMEOUT_S = 5.0
HTTP_PORTS = {"http": 80, "https": 443}

# What a peer says of us -> what to do; the first that is found in the words decides.
ECHO_REMEDIES = (
    (
        r"called ae title",
        "correct ae_title in peers.yaml: the peer does not call itself so",
    ),
    (
        r"calling ae title",
        "have the peer's operator add this node: its AE title, host and port",
    ),
    (r"limit|congestion", "the peer has too many associations open; try again later"),
    (r"certificate|authority|TLS", "compare tls_ca, tls_certificate and tls_key with the peer's"),
    (r"support verification", "have the peer's operator switch Verification on, if it may be"),
)
ECHO_REMEDY = "ask the peer's operator what its log says of this call, now"


def check_tcp(peer: Peer) -> Line:
    """Connect and hang up."""
    host, port = _address(peer)
    tried = f"TCP connection to {host}:{port}"
    begun = time.monotonic()
    try:
        with closing(socket.create_connection((host, port), timeout=CONNECT_TIMEOUT_S)):
            found = f"connected in {1000 * (time.monotonic() - begun):.0f} ms"
            return Line(
                about=peer.name, check="reachable", mark=Mark.PASS, tried=tried, found=found
            )
    except socket.gaierror:
        found, remedy = "the host name is not known", "correct host in peers.yaml, or DNS"
    except ConnectionRefusedError:
        found = "refused: nobody listens there"
        remedy = "start the peer, or correct host and port in peers.yaml"
    except TimeoutError:
        found = f"no answer within {CONNECT_TIMEOUT_S:g} s"
        remedy = "a firewall may drop it, or the host is down: ask the network's operator"
    except OSError as error:
        found, remedy = error.strerror or type(error).__name__, "correct host, or the route to it"
    return Line(
        about=peer.name, check="reachable", mark=Mark.FAIL, tried=tried, found=found, remedy=remedy
    )


def check_tls(peer: Peer, *, warn_days: int, now: datetime | None = None) -> Iterator[Line]:
    """Shake hands as a delivery would, and look at the certificates of both sides' chain."""
    tried = f"TLS handshake with {peer.host}:{peer.port}, its chain checked by tls_ca"
    if not peer.tls:
        yield Line(
            about=peer.name,
            check="TLS",
            mark=Mark.SKIP,
            tried="peers.yaml",
            found="tls is false: this peer is called without TLS",
        )
        return
    files = TlsFiles(
        certificate=peer.tls_certificate,
        key=peer.tls_key,
        key_password_file=peer.tls_key_password_file,
        ca=peer.tls_ca,
    )
    try:
        context = client_context(files, check_host=peer.tls_check_host)
        with (
            socket.create_connection((peer.host, peer.port), timeout=CONNECT_TIMEOUT_S) as plain,
            context.wrap_socket(plain, server_hostname=peer.host) as connection,
        ):
            shown = connection.getpeercert() or {}
            cipher = connection.cipher()
            version = connection.version()
    except SetupFault as fault:
        found = "; ".join([fault.summary, *(problem.found for problem in fault.problems)])
        yield Line(
            about=peer.name, check="TLS", mark=Mark.FAIL, tried=tried, found=found,
            remedy="correct tls_ca, tls_certificate and tls_key",
        )  # fmt: skip
        return
    except OSError as error:
        yield Line(
            about=peer.name, check="TLS", mark=Mark.FAIL, tried=tried, found=explain(error),
            remedy="compare the peer's certificate with tls_ca and host; see dicom_conf/README.md",
        )  # fmt: skip
        return
    suite = cipher[0] if cipher else "?"
    yield Line(
        about=peer.name,
        check="TLS",
        mark=Mark.PASS,
        tried=tried,
        found=f"{version}, {suite}; chain accepted, {name_of(shown.get('subject', ()))}",  # type: ignore[arg-type]  # of typeshed: values of all keys in one
    )
    ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(shown["notAfter"])), UTC)
    told = [("its certificate", ends)]
    for name, path in (("tls_ca", peer.tls_ca), ("tls_certificate", peer.tls_certificate)):
        if path is not None:
            told.append((name, soonest(read_certificates(path)).not_after))
    yield _expiry(peer.name, told, warn_days=warn_days, now=now or datetime.now(UTC))


def check_echo(peer: Peer, settings: Settings) -> Line:
    """Ask for Verification; where it fails without TLS, look whether the port speaks TLS."""
    node = settings.node
    tried = f"C-ECHO from {node.ae_title} to {peer.ae_title}"
    try:
        seconds = echo(peer, calling_ae_title=node.ae_title, settings=bounded(node.deliver))
    except TryLater as reason:
        said = str(reason).removeprefix(f"{peer.name}: ")
        remedy = next(
            (todo for words, todo in ECHO_REMEDIES if re.search(words, said, re.IGNORECASE)),
            ECHO_REMEDY,
        )
        if not peer.tls and _speaks_tls(peer):
            said = f"{said}; the port speaks TLS"
            remedy = "set tls: true in peers.yaml, with tls_ca and tls_certificate"
        return Line(
            about=peer.name, check="C-ECHO", mark=Mark.FAIL, tried=tried, found=said, remedy=remedy
        )
    return Line(
        about=peer.name, check="C-ECHO", mark=Mark.PASS, tried=tried,
        found=f"answered in {1000 * seconds:.0f} ms",
    )  # fmt: skip


def bounded(deliver: DeliverSettings, *, longest_s: float = 20.0) -> DeliverSettings:
    """Return the settings with waits that a person at a terminal bears."""
    return deliver.model_copy(
        update={
            "acse_timeout_s": min(deliver.acse_timeout_s or longest_s, longest_s),
            "dimse_timeout_s": min(deliver.dimse_timeout_s or longest_s, longest_s),
        }
    )


def uses_dimse(peer: Peer) -> bool:
    """Tell whether anything goes to a peer by DIMSE."""
    return peer.dicomweb is None or not (peer.dicomweb.store and peer.dicomweb.query)


def _address(peer: Peer) -> tuple[str, int]:
    web = peer.fhir or (None if uses_dimse(peer) else peer.dicomweb)
    if web is not None:
        url = urlsplit(web.url)
        return url.hostname or "", url.port or HTTP_PORTS[url.scheme]
    return peer.host, peer.port


def _speaks_tls(peer: Peer) -> bool:
    """Tell whether a server answers a ClientHello with TLS, whatever it thinks of us."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # nothing is sent over it
    try:
        with (
            socket.create_connection((peer.host, peer.port), timeout=CONNECT_TIMEOUT_S) as plain,
            context.wrap_socket(plain, server_hostname=peer.host),
        ):
            return True
    except ssl.SSLError as error:
        return "ALERT" in (error.reason or "")  # a TLS alert is TLS, too
    except OSError:
        return False


def _expiry(about: str, told: list[tuple[str, datetime]], *, warn_days: int, now: datetime) -> Line:
    first = min(told, key=lambda each: each[1])
    days = (first[1] - now).total_seconds() / SECONDS_PER_DAY
    found = ", ".join(f"{name} ends {moment:%Y-%m-%d}" for name, moment in told)
    if days < 0:
        mark, remedy = Mark.FAIL, f"renew {first[0]}: it has ended"
    elif days < warn_days:
        mark, remedy = Mark.WARN, f"renew {first[0]} within {int(days)} days"
    else:
        mark, remedy = Mark.PASS, ""
    return Line(
        about=about, check="certificate expiry", mark=mark,
        tried="the validity of every certificate between the two", found=found, remedy=remedy,
    )  # fmt: skip
