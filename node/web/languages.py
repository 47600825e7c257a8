"""In which language a person reads the page."""

from fastapi import Request

from node.language import LANGUAGES as KNOWN
from node.language import Language, Words, choose_language, words_of
from node.web.services import services_of
from node.web.visitor import visitor_of

LANGUAGES: dict[Language, str] = {"en": "English", "zh": "中文"}
"""As their readers call them."""
assert set(LANGUAGES) == set(KNOWN), "every language has a name"

Texts = Words


def texts_in(language: Language) -> Texts:
    """Return the texts of a language."""
    return words_of(language)


def language_of(request: Request) -> Language:
    """Return the user's language, else what the browser asks for, else that of ``node.yaml``."""
    return choose_language(
        visitor_of(request).language or None,
        services_of(request).settings().node.report.language,
        accept_language=request.headers.get("accept-language", ""),
    )


def texts_of(request: Request) -> Texts:
    """Return the texts for the reader of a request."""
    return texts_in(language_of(request))
