"""Words of the node as people read them, and paths that lead nowhere else."""

from fastapi import Request

from node.web.languages import texts_of


def own_path(path: str) -> str:
    """Return a path of this site; anything else becomes the overview."""
    is_ours = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if is_ours else "/"


def step_words(request: Request) -> dict[str, str]:
    """Return the names of steps, stages, states and lanes as people read them."""
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
    }
