"""Texts in ASCII, which every character set of DICOM can hold.

Results keep the character set of their source, which may know neither accents nor signs. Letters
with accents lose them, common signs are written out, and what has no such spelling becomes a
question mark: that something stood there is never hidden.

References
----------
PS3.5 section 6.1.2.1 (the default repertoire).
"""

import unicodedata

SIGNS = str.maketrans("–—‘’“”×≈·\\µμØøŁłĐđı", "--''\"\"x~./uuOoLlDdi") | str.maketrans(
    {"≥": ">=", "≤": "<=", "±": "+/-", "°": " degrees", "ß": "ss"}
    | {"Æ": "Ae", "æ": "ae", "Œ": "Oe", "œ": "oe"}
)


def spell_plainly(text: str) -> str:
    """Write a text in ASCII, without line breaks."""
    return " ".join("".join(_spell(sign) for sign in text.translate(SIGNS)).split())


def without_spelling(text: str) -> str:
    """Return the letters and signs of a text that would become question marks."""
    spelled = unicodedata.normalize("NFC", text).translate(SIGNS)
    return "".join(sign for sign in spelled if sign != "?" and "?" in _spell(sign))


def _spell(sign: str) -> str:
    pieces = unicodedata.normalize("NFKD", sign)
    left = "".join(piece for piece in pieces if not unicodedata.category(piece).startswith("M"))
    return left if left.isascii() else "?"
