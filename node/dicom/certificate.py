"""Certificates: whose they are, and when they end.

References
----------
RFC 5280 section 4.1.2 (validity, subject), RFC 7468 (PEM).
"""

import re
import ssl
from _ssl import _test_decode_cert  # type: ignore[attr-defined] # not in typeshed; see _decode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from node.domain.errors import Problem, SetupFault

SECONDS_PER_DAY = 86400
MAXIMUM_FILE_BYTES = 4 << 20
_BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_SHORT = {
    "commonName": "CN",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "localityName": "L",
    "stateOrProvinceName": "ST",
    "countryName": "C",
}


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """What a person wants to know of a certificate.

    Parameters
    ----------
    path : Path
        Where it was read from.
    subject, issuer : str
        Such as ``CN=pacs.hospital.example, O=Hospital``.
    not_before, not_after : datetime
        Validity, aware, in UTC.
    """

    path: Path
    subject: str
    issuer: str
    not_before: datetime
    not_after: datetime

    def days_left(self, now: datetime) -> float:
        """Return how long it is valid yet; below 0 it has ended."""
        return (self.not_after - now).total_seconds() / SECONDS_PER_DAY


def read_certificate(path: Path) -> Certificate:
    """Return the first certificate of a PEM file, which is the one that is shown to peers.

    Raises
    ------
    SetupFault
        The file cannot be read, or holds no certificate.
    """
    return read_certificates(path)[0]


def read_certificates(path: Path) -> tuple[Certificate, ...]:
    """Return every certificate of a PEM file, in its order; at least one.

    Raises
    ------
    SetupFault
        The file cannot be read, or holds no certificate.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MAXIMUM_FILE_BYTES).decode("ascii", "replace")
        found = tuple(_decode(block, path) for block in _BLOCK.findall(text))
    except (OSError, ValueError, ssl.SSLError) as error:
        raise _no_certificate(path, str(error)) from error
    if not found:
        raise _no_certificate(path, "no PEM block of a certificate")
    return found


def soonest(certificates: Iterable[Certificate]) -> Certificate:
    """Return the certificate that ends first: a chain is valid no longer than that."""
    return min(certificates, key=lambda certificate: certificate.not_after)


def name_of(parts: Iterable[Iterable[tuple[str, str]]]) -> str:
    """Return a distinguished name as one line, from what ``SSLSocket.getpeercert`` says."""
    return ", ".join(f"{_SHORT.get(key, key)}={value}" for part in parts for key, value in part)


def _decode(block: str, path: Path) -> Certificate:
    # The standard library decodes certificates of finished handshakes and, for its own tests, of
    # files; the latter has been there since Python 2.6. It wants a file of one certificate.
    with NamedTemporaryFile("w", suffix=".pem", encoding="ascii") as single:
        single.write(block + "\n")
        single.flush()
        values: Mapping[str, Any] = _test_decode_cert(single.name)
    return Certificate(
        path=path,
        subject=name_of(values["subject"]),
        issuer=name_of(values["issuer"]),
        not_before=_moment(values["notBefore"]),
        not_after=_moment(values["notAfter"]),
    )


def _moment(text: str) -> datetime:
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(text), UTC)


def _no_certificate(path: Path, why: str) -> SetupFault:
    problem = Problem(
        code="bad-certificate",
        tag=str(path),
        found=why,
        expected="a certificate in PEM format, which the node may read",
        remedy="correct the path, or convert the file with: openssl x509 -inform DER -out FILE.pem",
    )
    return SetupFault(f"no certificate in {path}", [problem])
