"""The words of one language.

References
----------
GNU gettext manual, "The Format of PO Files"; the catalogs are read by Babel.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Literal, get_args

from babel import Locale
from babel.dates import format_date, format_datetime
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations

from node.language.sentences import SENTENCES, Sentence

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

CATALOGS = Path(__file__).parent / "catalogs"
_LOCALES: dict[Language, str] = {"en": "en_GB", "zh": "zh_Hans_CN"}


@dataclass(frozen=True, kw_only=True, eq=False)
class Words:
    """What to say in one language; a message without a translation stays English.

    Parameters
    ----------
    language : {"en", "zh"}
    locale : babel.Locale
        For the formats of Babel.
    translations : babel.support.NullTranslations
    """

    language: Language
    locale: Locale
    translations: NullTranslations

    def gettext(self, message: str, **values: object) -> str:
        """Say a message; ``%(name)s`` in it stands for the value of that name.

        A percent sign is written ``%%`` in messages with values, and ``%`` in those without.
        """
        return _fill(self.translations.gettext(message), values)

    def ngettext(self, singular: str, plural: str, n: int, **values: object) -> str:
        """Say how many; ``%(n)s`` is the number."""
        return _fill(self.translations.ngettext(singular, plural, n), {"n": n, **values})

    def pgettext(self, context: str, message: str, **values: object) -> str:
        """Say a message that means different things in different places."""
        return _fill(str(self.translations.pgettext(context, message)), values)

    def retell(self, sentence: str) -> str:
        """Translate a finished sentence of the node's own, such as a warning or a code's meaning.

        Sentences that hold values are known by their pattern (``node/language/sentences.py``).
        What is not known stays as it is.
        """
        told = self.translations.gettext(sentence) if sentence else ""
        if told != sentence or self.language == "en":
            return told
        for known in SENTENCES:
            values = known.read(sentence)
            if values is not None:
                return self._fill_sentence(known, values)
        return sentence

    def join(self, sentences: Iterable[str]) -> str:
        """Put sentences one after the other."""
        return ("" if self.language == "zh" else " ").join(sentences)

    def date(self, day: date) -> str:
        """Return a date as it is written, e.g. ``3 Mar 2026`` or ``2026年3月3日``."""
        return format_date(day, locale=self.locale)

    def moment(self, moment: datetime) -> str:
        """Return date and time of day as they are written."""
        return format_datetime(moment, locale=self.locale)

    def _fill_sentence(self, known: Sentence, values: dict[str, str]) -> str:
        told = {name: self._retell_value(value) for name, value in values.items()}
        return self.gettext(known.message, **told)

    def _retell_value(self, value: str) -> str:
        """Translate a value that is a phrase of its own, or several with commas between them."""
        told = self.retell(value)
        pieces = [self.retell(piece) for piece in value.split(", ")]
        return told if told != value else self.pgettext("between phrases", ", ").join(pieces)


@cache
def words_of(language: Language) -> Words:
    """Return the words of a language.

    Parameters
    ----------
    language : {"en", "zh"}
    """
    locale = Locale.parse(_LOCALES[language])
    return Words(language=language, locale=locale, translations=_read_catalogs(language))


def _read_catalogs(language: Language) -> NullTranslations:
    if language == "en":
        return NullTranslations()
    together = Catalog(locale=language)
    for path in sorted((CATALOGS / language).glob("*.po")):
        with path.open("rb") as opened:
            for message in read_po(opened, locale=language, abort_invalid=True):
                if message.id:
                    together[message.id] = message
    compiled = BytesIO()
    write_mo(compiled, together)
    compiled.seek(0)
    return Translations(compiled)


def _fill(message: str, values: dict[str, object]) -> str:
    return message % values if values else message
