"""The certificates of a node: whose they are, what for, and which of them end soon."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog

from node.config.settings import Settings
from node.dicom.certificate import Certificate, read_certificates, soonest
from node.domain.errors import SetupFault

log = structlog.get_logger()

OTHERS_MAY_READ = 0o007


@dataclass(frozen=True, kw_only=True)
class CertificateInUse:
    """A certificate that the configuration names.

    Parameters
    ----------
    purpose : str
        Where it is named, such as ``tls.certificate`` or ``pacs.tls_ca``.
    certificate : Certificate
        Of a chain, the one that ends first.
    """

    purpose: str
    certificate: Certificate


def list_certificates(settings: Settings) -> tuple[CertificateInUse, ...]:
    """Return the certificates that the configuration names, each file once.

    Raises
    ------
    SetupFault
        One of the files cannot be read.
    """
    return tuple(
        CertificateInUse(purpose=purpose, certificate=soonest(read_certificates(path)))
        for path, purpose in _files(settings).items()
    )


def warn_of_expiry(settings: Settings, *, now: datetime | None = None) -> int:
    """Log which certificates end within ``tls.warn_days``, and keys that others can read.

    Returns
    -------
    int
        How many certificates end so soon, or cannot be read.
    """
    now = now or datetime.now(UTC)
    count = 0
    for path, purpose in _files(settings).items():
        try:
            certificate = soonest(read_certificates(path))
        except SetupFault as fault:
            log.error("certificate.unreadable", purpose=purpose, reason=str(fault))
            count += 1
            continue
        days = certificate.days_left(now)
        if days < settings.node.tls.warn_days:
            count += 1
            tell = log.error if days < 0 else log.warning
            tell(
                "certificate.expired" if days < 0 else "certificate.expires",
                purpose=purpose,
                path=str(path),
                subject=certificate.subject,
                not_after=certificate.not_after.isoformat(),
                days_left=int(days),
            )
    for path in readable_keys(settings):
        log.warning("key.readable_by_others", path=str(path), remedy="chmod 600")
    return count


def readable_keys(settings: Settings) -> tuple[Path, ...]:
    """Return the private keys that more than their owner and group can read."""
    return tuple(sorted(path for path in _keys(settings) if _others_may_read(path)))


def _files(settings: Settings) -> dict[Path, str]:
    found: dict[Path, str] = {}
    for purpose, path in _named(settings):
        if path is not None:
            found.setdefault(path, purpose)
    return found


def _named(settings: Settings) -> Iterator[tuple[str, Path | None]]:
    tls = settings.node.tls
    yield "tls.certificate", tls.certificate
    yield "tls.ca", tls.ca
    web = settings.node.web
    yield "web.certificate_file", Path(web.certificate_file) if web.certificate_file else None
    for peer in settings.peers:
        if peer.tls:
            yield f"{peer.name}.tls_certificate", peer.tls_certificate
            yield f"{peer.name}.tls_ca", peer.tls_ca


def _keys(settings: Settings) -> set[Path]:
    keys = [settings.node.tls.key, *(peer.tls_key for peer in settings.peers)]
    if settings.node.web.key_file:
        keys.append(Path(settings.node.web.key_file))
    return {path for path in keys if path is not None}


def _others_may_read(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & OTHERS_MAY_READ)
    except OSError:
        return False
