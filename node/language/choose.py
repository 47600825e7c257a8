"""Which language a person reads."""

from babel import negotiate_locale

from node.language.words import LANGUAGES, Language


def choose_language(*wanted: str | None, accept_language: str = "") -> Language:
    """Choose the language of a web page.

    Parameters
    ----------
    *wanted : str or None
        Languages in falling order of weight, e.g. of the user's profile and of ``node.yaml``
        (give the latter last); unknown ones and None are passed over.
    accept_language : str
        The browser's header; asked after the first of ``wanted`` that is given, if none is known.

    Returns
    -------
    {"en", "zh"}
        English where nothing else is known.

    References
    ----------
    RFC 9110 section 12.5.4 (Accept-Language).
    """
    first, *others = wanted or (None,)
    candidates = [first, *_read_header(accept_language), *others]
    known = negotiate_locale([each for each in candidates if each], LANGUAGES, sep="-")
    return next((each for each in LANGUAGES if each == known), "en")


def _read_header(header: str) -> list[str]:
    """Language ranges in the order of their quality."""
    ranges = []
    for place, part in enumerate(header.split(",")):
        name, _, parameter = part.strip().partition(";")
        try:
            quality = float(parameter.strip().removeprefix("q=")) if parameter else 1.0
        except ValueError:
            continue
        if name and quality > 0:
            ranges.append((-quality, place, name.strip()))
    return [name for _, _, name in sorted(ranges)]
