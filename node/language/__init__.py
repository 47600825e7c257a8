"""What people read, in their language: English in the code, Chinese from catalogs.

Codes in DICOM objects, logs, the command line and ``result.json`` stay English. Catalogs are the
``.po`` files in ``catalogs/<language>/``, read at run time; several files of one language add up.

>>> words = words_of("zh")
>>> words.gettext("Lesion %(number)s", number=1)
'病灶 1'

In Jinja2 templates, after ``speak_in_templates(environment)``: ``{{ _("Studies") }}``,
``{% trans count=n %}...{% endtrans %}`` and ``{{ warning|retell }}``, in the language of the
``words`` of the template's context.
"""

from node.language.choose import choose_language
from node.language.readers import Readers
from node.language.templates import speak_in_templates
from node.language.words import LANGUAGES, Language, Words, words_of

__all__ = [
    "LANGUAGES",
    "Language",
    "Readers",
    "Words",
    "choose_language",
    "speak_in_templates",
    "words_of",
]
