"""Templates, and what every one of them has."""

from collections.abc import Callable
from datetime import datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from node.web.languages import language_of, texts_in
from node.web.navigation import Entry
from node.web.services import services_of
from node.web.visitor import visitor_of

HERE = Path(__file__).parent
STATIC = HERE / "static"
KILO = 1024


def render(
    request: Request, template: str, /, *, status_code: int = 200, **context: Any
) -> HTMLResponse:
    """Return a page.

    Parameters
    ----------
    request : Request
    template : str
        Name of a file in ``templates/``.
    status_code : int
    **context
        What the template asks besides; the rest is listed in ``node.web``.
    """
    return HTMLResponse(render_text(request, template, **context), status_code)


def render_text(request: Request, template: str, /, **context: Any) -> str:
    """Return the text of a template, such as a part of a page for a stream."""
    language = language_of(request)
    texts = texts_in(language)
    visitor = visitor_of(request)
    settings = services_of(request).settings()
    entries: tuple[Entry, ...] = request.app.state.navigation
    own = {
        "_": texts.gettext,
        "ngettext": texts.ngettext,
        "retell": texts.retell,
        "language": language,
        "visitor": visitor,
        "csrf_token": visitor.csrf_token,
        "settings": settings,
        "environment": settings.node.web.environment,
        "navigation": [entry for entry in entries if visitor.may(entry.role)],
        "path": request.url.path,
    }
    return _environment().get_template(template).render(own | context)


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Callable[..., Any]] = {"moment": moment, "age": age, "size": size}
    made.filters.update(filters)
    made.globals["static"] = static_address
    return made


@cache
def static_address(name: str) -> str:
    """Return the address of a file of ``static/``, which changes with its content."""
    return f"/static/{name}?v={sha256((STATIC / name).read_bytes()).hexdigest()[:12]}"


def moment(value: datetime | None) -> Markup:
    """Return a moment in the time zone of the node, to the second."""
    if value is None:
        return Markup("–")
    local = value.astimezone()
    return Markup('<time datetime="{}">{}</time>').format(
        local.isoformat(timespec="seconds"), local.strftime("%Y-%m-%d %H:%M:%S")
    )


def age(seconds: float | None) -> str:
    """Return a duration in its two largest units: ``3 min 20 s``."""
    if seconds is None:
        return "–"
    rest = max(0, round(seconds))
    words = []
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, rest = divmod(rest, length)
        if count:
            words.append(f"{count} {unit}")
    return " ".join(words[:2]) or "0 s"


def size(count: float) -> str:
    """Return bytes in the unit in which they are a short number."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(count) < KILO:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= KILO
    return f"{count:.1f} TiB"
