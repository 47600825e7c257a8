"""TLS as DICOM wants it: versions 1.2 and 1.3 with the cipher suites of BCP 195, mutual.

References
----------
PS3.15 annex B, BCP 195 RFC 8996, 9325 TLS Secure Transport Connection Profile.
RFC 9325 sections 3 (versions, no renegotiation) and 4.2 (suites: ephemeral curves, AEAD).
"""

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog

from node.domain.errors import Problem, SetupFault

log = structlog.get_logger()

# Of TLS 1.2; those of 1.3 are all within BCP 195. Level 2: no RSA key of less than 2048 bits.
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL:@SECLEVEL=2"

REASONS: Mapping[str, str] = {
    "CERTIFICATE_EXPIRED": "our certificate has ended, says the peer",
    "HTTP_REQUEST": "this was HTTP, not TLS",
    "NO_SHARED_CIPHER": "the peer offers no cipher suite of BCP 195",
    "NO_PROTOCOLS_AVAILABLE": "the peer offers neither TLS 1.2 nor 1.3",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "the peer showed no certificate",
    "SSLV3_ALERT_BAD_CERTIFICATE": "the peer does not accept our certificate",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "our certificate has ended, says the peer",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "the peer does not accept our certificate",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "the peer wants other cipher suites, or another certificate",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "the peer wants a certificate, and we have none for it",
    "TLSV1_ALERT_PROTOCOL_VERSION": "the peer takes neither TLS 1.2 nor 1.3",
    "TLSV1_ALERT_UNKNOWN_CA": "the peer does not know the authority of our certificate",
    "UNEXPECTED_EOF_WHILE_READING": "the peer closed the connection during the handshake",
    "UNSUPPORTED_PROTOCOL": "the peer offers neither TLS 1.2 nor 1.3",
    "WRONG_VERSION_NUMBER": "this was not TLS: DICOM without TLS, perhaps",
}


@dataclass(frozen=True, kw_only=True)
class TlsFiles:
    """The PEM files of one side.

    Parameters
    ----------
    certificate, key : Path or None
        Both or none: a client may have none.
    key_password_file : Path or None
        Of an encrypted key.
    ca : Path or None
        Authorities that are trusted.
    """

    certificate: Path | None = None
    key: Path | None = None
    key_password_file: Path | None = None
    ca: Path | None = None

    def all(self) -> tuple[Path, ...]:
        """Return the files that there are."""
        files = (self.certificate, self.key, self.key_password_file, self.ca)
        return tuple(path for path in files if path is not None)


def server_context(files: TlsFiles, *, require_client_certificate: bool) -> ssl.SSLContext:
    """Return the context of a listener.

    Raises
    ------
    SetupFault
        The files cannot be read or do not fit together.
    """
    context = _context(ssl.PROTOCOL_TLS_SERVER, files)
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE | ssl.OP_NO_TICKET
    context.num_tickets = 0  # each association proves anew who calls
    if require_client_certificate:
        context.verify_mode = ssl.CERT_REQUIRED
    elif files.ca is not None:
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def client_context(files: TlsFiles, *, check_host: bool) -> ssl.SSLContext:
    """Return the context of a caller.

    Parameters
    ----------
    files : TlsFiles
    check_host : bool
        Whether the peer's certificate must name the host that is called.

    Raises
    ------
    SetupFault
        The files cannot be read or do not fit together, or there is no authority.
    """
    if files.ca is None:
        raise SetupFault("TLS without a file of trusted authorities: set tls_ca, or tls.ca")
    context = _context(ssl.PROTOCOL_TLS_CLIENT, files)
    context.check_hostname = check_host
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def explain(error: OSError) -> str:
    """Return in words why a handshake failed; never key material."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate of the peer is not accepted: {error.verify_message}"
    if isinstance(error, TimeoutError):
        return "the handshake took too long"
    if isinstance(error, ssl.SSLError):
        reason = error.reason or type(error).__name__
        return REASONS.get(reason, reason.lower().replace("_", " "))
    return error.strerror or type(error).__name__


class RenewedContext:
    """A context that follows its files: certificates are exchanged without a restart.

    Parameters
    ----------
    make : callable
        Makes the context from the files; called once at the beginning, where it may raise.
    files : TlsFiles
    """

    def __init__(self, make: Callable[[], ssl.SSLContext], files: TlsFiles) -> None:
        self._make = make
        self._files = files.all()
        self._state = self._look()
        self._context = make()

    def get(self) -> ssl.SSLContext:
        """Return the context of the files as they are; the former one if they cannot be used."""
        state = self._look()
        if state != self._state:
            self._state = state
            try:
                self._context = self._make()
                log.info("tls.renewed", files=[str(path) for path in self._files])
            except SetupFault as fault:
                log.error("tls.not_renewed", reason=str(fault))
        return self._context

    def _look(self) -> tuple[tuple[int, int, int] | None, ...]:
        return tuple(_identity(path) for path in self._files)


def _identity(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _context(protocol: int, files: TlsFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    # What stands in the file of authorities is trusted, also if it is not the root.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if files.certificate is not None:
        try:
            context.load_cert_chain(files.certificate, files.key, password=lambda: _password(files))
        except (OSError, ValueError) as error:
            raise _unusable(files, error) from error
    if files.ca is not None:
        try:
            context.load_verify_locations(cafile=files.ca)
        except (OSError, ValueError) as error:
            raise _unusable(TlsFiles(ca=files.ca), error) from error
    return context


def _password(files: TlsFiles) -> str:
    """Return the password of the key; without this OpenSSL would ask the terminal."""
    if files.key_password_file is None:
        raise SetupFault(f"the key {files.key} is encrypted, and there is no key_password_file")
    return files.key_password_file.read_text("utf-8").rstrip("\r\n")


def _unusable(files: TlsFiles, error: Exception) -> SetupFault:
    if isinstance(error, ssl.SSLError):
        found = (error.reason or "not in PEM format").lower().replace("_", " ")
    elif isinstance(error, OSError):
        found = error.strerror or type(error).__name__
    else:
        found = type(error).__name__
    names = ", ".join(str(path) for path in files.all())
    problem = Problem(
        code="bad-tls-files",
        tag=str(files.key or files.certificate or files.ca),
        found=found,
        expected="files in PEM format that fit together and that the node may read",
        remedy="compare both: openssl x509 -noout -pubkey -in CERTIFICATE; openssl pkey -pubout",
    )
    return SetupFault(f"TLS cannot be used with {names}", [problem])
