"""Words of the node as people read them, and paths that lead nowhere else."""

from fastapi import Request

from node.jobs.rows import STAGE, WAIT
from node.jobs.state import JobEvent
from node.language import Words
from node.web.languages import texts_of


def own_path(path: str) -> str:
    """Return a path of this site; anything else becomes the overview."""
    is_ours = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if is_ours else "/"


def step_words(request: Request) -> dict[str, str]:
    """Return the names of steps, stages, states, proofs and lanes as people read them."""
    _ = texts_of(request).gettext
    return {
        "arriving": _("arriving"),
        "queued": _("queued"),
        "running": _("running"),
        "load": _("loading"),
        "read": _("reading"),
        "segment": _("segmenting"),
        "radiomics": _("measuring"),
        "classify": _("classifying"),
        "compare": _("comparing"),
        "report": _("reporting"),
        "sending": _("sending"),
        "delivered": _("delivered"),
        "committed": _("committed"),
        "failed": _("failed"),
        "rejected": _("rejected"),
        "cancelled": _("cancelled"),
        "retry": _("Retry"),
        "cancel": _("Cancel"),
        "resend": _("Send again"),
        "pending": _("to be sent"),
        "accepted": _("accepted"),
        "found": _("found there"),
        "replaced": _("replaced"),
        "stat": _("stat"),
        "high": _("high"),
        "routine": _("routine"),
        "wanted": _("to be asked for"),
        "asked": _("asked for"),
        "overdue": _("no answer"),
        "closed": _("settled"),
    }


def event_words(texts: Words) -> dict[str, str]:
    """Return the events of a job's history as people read them."""
    _ = texts.gettext
    return {
        JobEvent.ADD: _("study assembled"),
        JobEvent.REFUSE: _("study refused"),
        JobEvent.CLAIM: _("taken by a worker"),
        JobEvent.FINISH: _("results made"),
        JobEvent.FINISH_EMPTY: _("finished, nothing to send"),
        JobEvent.TRY_AGAIN: _("failed, is tried again"),
        JobEvent.POSTPONE: _("postponed"),
        JobEvent.LAPSE: _("worker lost"),
        JobEvent.GIVE_UP: _("given up"),
        JobEvent.REJECT: _("rejected"),
        JobEvent.ACCEPTED: _("all objects accepted"),
        JobEvent.SEND_FAILED: _("sending failed"),
        JobEvent.RETRY: _("retried by a person"),
        JobEvent.RESEND: _("sent again by a person"),
        JobEvent.LOST: _("lost by a destination, is sent again"),
        JobEvent.COMMITTED: _("all objects proven to be kept"),
        JobEvent.CANCEL: _("cancelled"),
        STAGE: _("stage began"),
        WAIT: _("waits"),
    }
