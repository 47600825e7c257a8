"""Whether clocks agree: the node's with the time service, and with what peers say."""

import ctypes
import email.utils
from datetime import UTC, datetime

import requests

from node.bootstrap.doctor.sheet import NODE, Line, Mark
from node.config.settings import Peer

WARN_SKEW_S = 30.0
"""More than that, and the times of two logs no longer tell which came first."""
FAIL_SKEW_S = 300.0
"""More than that, and certificates and Kerberos tickets begin to fail."""
TIMEOUT_S = 10.0
TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised


def check_own_clock() -> Line:
    """Ask the kernel whether a time service keeps its clock."""
    tried = f"adjtimex: is the clock synchronised? It says {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    state = _kernel_state()
    if state is None:
        return Line(
            about=NODE, check="clock", mark=Mark.SKIP, tried=tried, found="this system does not say"
        )
    if state == TIME_ERROR:
        return Line(
            about=NODE, check="clock", mark=Mark.WARN, tried=tried, found="not synchronised",
            remedy="let NTP run on the host: timedatectl set-ntp true",
        )  # fmt: skip
    return Line(about=NODE, check="clock", mark=Mark.PASS, tried=tried, found="synchronised")


def check_skew(peer: Peer) -> Line:
    """Compare clocks by the Date header of the peer's web services; DIMSE carries no time."""
    if peer.dicomweb is None:
        return Line(
            about=peer.name, check="clock skew", mark=Mark.SKIP, tried="nothing",
            found="cannot be told: DIMSE carries no time of the peer",
        )  # fmt: skip
    tried = "Date header of an HTTP answer"
    session = requests.Session()
    session.trust_env = False
    before = datetime.now(UTC)
    try:
        # No secrets: a refusal has a date, too.
        answer = session.get(
            peer.dicomweb.url,
            timeout=TIMEOUT_S,
            verify=peer.dicomweb.ca_file or True,
            allow_redirects=False,
            stream=True,
        )
        after = datetime.now(UTC)
        told = answer.headers.get("Date", "")
        answer.close()
    except (requests.RequestException, OSError) as error:
        return Line(
            about=peer.name, check="clock skew", mark=Mark.SKIP, tried=tried,
            found=f"no answer: {type(error).__name__}",
        )  # fmt: skip
    try:
        theirs = email.utils.parsedate_to_datetime(told)
    except ValueError:
        found = "cannot be told: the peer sends no Date"
        return Line(about=peer.name, check="clock skew", mark=Mark.SKIP, tried=tried, found=found)
    return judge_skew(peer.name, tried, theirs=theirs, before=before, after=after)


def judge_skew(
    about: str, tried: str, *, theirs: datetime, before: datetime, after: datetime
) -> Line:
    """Judge a time in whole seconds that was told between two moments of our own."""
    if theirs.tzinfo is None:
        theirs = theirs.replace(tzinfo=UTC)
    ahead_s = (theirs - after).total_seconds()
    behind_s = (before - theirs).total_seconds() - 1
    skew_s = max(ahead_s, behind_s, 0.0)
    if skew_s == 0:
        found = "the same, within a second"
    else:
        found = f"the peer is {skew_s:.0f} s {'ahead' if ahead_s > behind_s else 'behind'}"
    mark = Mark.FAIL if skew_s > FAIL_SKEW_S else Mark.WARN if skew_s > WARN_SKEW_S else Mark.PASS
    remedy = "" if mark is Mark.PASS else "find out whose clock is wrong; both need NTP"
    return Line(about=about, check="clock skew", mark=mark, tried=tried, found=found, remedy=remedy)


def _kernel_state() -> int | None:
    """Return the clock's state by adjtimex with modes 0, which changes nothing; None without it."""
    try:
        adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
    except (OSError, AttributeError):
        return None
    state = int(adjtimex(ctypes.create_string_buffer(512)))  # struct timex is smaller
    return None if state < 0 else state
