"""Words in Jinja2 templates."""

from jinja2 import Environment, pass_context
from jinja2.runtime import Context

from node.language.words import Words, words_of


def speak_in_templates(environment: Environment) -> None:
    """Give an environment ``_()``, ``gettext()``, ``ngettext()``, ``{% trans %}`` and ``|retell``.

    They speak the language of the variable ``words`` (a ``Words``) of the template's context, and
    English where there is none. Values that are filled in are escaped, messages are not.

    Parameters
    ----------
    environment : jinja2.Environment
        Changed in place.
    """
    environment.add_extension("jinja2.ext.i18n")
    environment.install_gettext_callables(  # type: ignore[attr-defined]  # the extension adds it
        _gettext, _ngettext, newstyle=True, pgettext=_pgettext
    )
    environment.filters["retell"] = _retell


def _words(context: Context) -> Words:
    found = context.get("words")
    return found if isinstance(found, Words) else words_of("en")


@pass_context
def _gettext(context: Context, message: str) -> str:
    return _words(context).translations.gettext(message)


@pass_context
def _ngettext(context: Context, singular: str, plural: str, n: int) -> str:
    return _words(context).translations.ngettext(singular, plural, n)


@pass_context
def _pgettext(context: Context, about: str, message: str) -> str:
    return str(_words(context).translations.pgettext(about, message))


@pass_context
def _retell(context: Context, sentence: str) -> str:
    return _words(context).retell(sentence)
