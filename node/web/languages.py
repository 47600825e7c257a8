"""In which language a person reads the page."""

import gettext
from functools import cache
from pathlib import Path

from fastapi import Request

from node.web.visitor import visitor_of

LANGUAGES: dict[str, str] = {"en": "English", "zh": "中文"}
CATALOGUES = Path(__file__).parents[1] / "locale"

Texts = gettext.NullTranslations


@cache
def texts_in(language: str) -> Texts:
    """Return the texts of a language; English where there is no catalogue."""
    return gettext.translation(
        "onconode", localedir=CATALOGUES, languages=[language], fallback=True
    )


def language_of(request: Request) -> str:
    """Return the language that the user chose, else the first known one that the browser asks."""
    chosen = visitor_of(request).language
    if chosen in LANGUAGES:
        return chosen
    for wish in request.headers.get("accept-language", "").split(","):
        wanted = wish.partition(";")[0].strip().partition("-")[0].lower()
        if wanted in LANGUAGES:
            return wanted
    return "en"


def texts_of(request: Request) -> Texts:
    """Return the texts for the reader of a request."""
    return texts_in(language_of(request))
