"""What somebody should look at, found in what the overview knows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from node.web.languages import Texts

CERTIFICATE_BAD = timedelta(days=7)


class Level(StrEnum):
    """How urgent an alarm is."""

    BAD = "bad"
    WARN = "warn"


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """One thing to look at.

    Parameters
    ----------
    kind : str
        Stable, for programs; ``alarm_text`` tells it to people.
    level : Level
    about : str
        Peer, process, certificate ...; empty where the kind says it all.
    count : int
        How many; 0 where nothing is counted.
    link : str
        Page that shows more; empty: none.
    """

    kind: str
    level: Level
    about: str = ""
    count: int = 0
    link: str = ""


@dataclass(frozen=True, kw_only=True)
class Condition:
    """What alarms are made of.

    Parameters
    ----------
    failed_jobs, rejected, quarantined : int
        Jobs that wait for a person; studies refused, and objects refused of late.
    failed_deliveries : mapping of str to int
        Peer -> objects that were given up.
    failing_peers : mapping of str to str
        Peer -> why sending to it does not succeed now.
    processes : mapping of str to bool
        Name -> whether it lives.
    missing_bundles : tuple of str
    disk : {"good", "soft", "hard"}
        The mark that free space is below.
    certificates : mapping of str to datetime
        Purpose -> end.
    clock_fault : str
    warn_days : int
        Before the end of a certificate.
    now : datetime
    """

    failed_jobs: int
    rejected: int
    quarantined: int
    failed_deliveries: Mapping[str, int]
    failing_peers: Mapping[str, str]
    processes: Mapping[str, bool]
    missing_bundles: tuple[str, ...]
    disk: str
    certificates: Mapping[str, datetime]
    clock_fault: str
    warn_days: int
    now: datetime


def list_alarms(condition: Condition) -> tuple[Alarm, ...]:
    """Return the alarms of a condition, the urgent ones first."""
    found = [*_of_node(condition), *_of_work(condition), *_of_certificates(condition)]
    return tuple(sorted(found, key=lambda alarm: alarm.level is not Level.BAD))


def _of_node(condition: Condition) -> Iterator[Alarm]:
    for name, lives in condition.processes.items():
        if not lives:
            yield Alarm(kind="process-down", level=Level.BAD, about=name)
    if condition.disk != "good":
        level = Level.BAD if condition.disk == "hard" else Level.WARN
        yield Alarm(kind=f"disk-{condition.disk}", level=level)
    for name in condition.missing_bundles:
        yield Alarm(kind="bundle-missing", level=Level.BAD, about=name)
    if condition.clock_fault:
        yield Alarm(kind="clock", level=Level.WARN)


def _of_work(condition: Condition) -> Iterator[Alarm]:
    if condition.failed_jobs:
        yield Alarm(
            kind="jobs-failed",
            level=Level.BAD,
            count=condition.failed_jobs,
            link="/jobs?state=failed",
        )
    for peer, count in condition.failed_deliveries.items():
        yield Alarm(kind="deliveries-failed", level=Level.BAD, about=peer, count=count)
    for peer in condition.failing_peers:
        if peer not in condition.failed_deliveries:
            yield Alarm(kind="peer-failing", level=Level.WARN, about=peer)
    if condition.rejected:
        yield Alarm(
            kind="studies-rejected",
            level=Level.WARN,
            count=condition.rejected,
            link="/jobs?state=rejected",
        )
    if condition.quarantined:
        yield Alarm(
            kind="objects-refused",
            level=Level.WARN,
            count=condition.quarantined,
            link="/quarantine",
        )


def _of_certificates(condition: Condition) -> Iterator[Alarm]:
    for purpose, end in condition.certificates.items():
        rest = end - condition.now
        if rest <= timedelta(days=condition.warn_days):
            level = Level.BAD if rest <= CERTIFICATE_BAD else Level.WARN
            kind = "certificate-ended" if rest <= timedelta() else "certificate-ends"
            yield Alarm(kind=kind, level=level, about=purpose, count=max(0, rest.days))


def alarm_text(alarm: Alarm, texts: Texts) -> str:
    """Return an alarm in words."""
    _, count, about = texts.gettext, alarm.count, alarm.about
    words = {
        "process-down": _("Process %(about)s does not run.", about=about),
        "disk-soft": _("The disk is filling: new studies are asked to come later."),
        "disk-hard": _("The disk is full: nothing more is received."),
        "bundle-missing": _("Model %(about)s is named by a rule and not there.", about=about),
        "clock": _("The clock of this host is not synchronised."),
        "peer-failing": _("Sending to %(about)s does not succeed; it is tried again.", about=about),
        "certificate-ended": _("Certificate %(about)s has ended.", about=about),
        "jobs-failed": texts.ngettext(
            "%(n)s job failed and waits for a person.",
            "%(n)s jobs failed and wait for a person.",
            count,
        ),
        "deliveries-failed": texts.ngettext(
            "%(n)s object for %(about)s was given up.",
            "%(n)s objects for %(about)s were given up.",
            count,
            about=about,
        ),
        "studies-rejected": texts.ngettext(
            "%(n)s study could not be analysed in 24 hours.",
            "%(n)s studies could not be analysed in 24 hours.",
            count,
        ),
        "objects-refused": texts.ngettext(
            "%(n)s object was refused in 24 hours.",
            "%(n)s objects were refused in 24 hours.",
            count,
        ),
        "certificate-ends": texts.ngettext(
            "Certificate %(about)s ends in %(n)s day.",
            "Certificate %(about)s ends in %(n)s days.",
            count,
            about=about,
        ),
    }
    return words[alarm.kind]
