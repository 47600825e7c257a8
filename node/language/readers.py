"""In which languages the readers of one case want it."""

from dataclasses import dataclass

from node.language.words import Language


@dataclass(frozen=True, kw_only=True)
class Readers:
    """What a case's readers get beside SEG and SR, and in which languages.

    Parameters
    ----------
    language : {"en", "zh"}
        The node's own, for what has no other reader.
    pictures : tuple of {"en", "zh"}
        Further languages of the secondary capture.
    papers : tuple of {"en", "zh"}
        Languages of the PDF report; empty: none is wanted.
    maps : tuple of str
        Forms of the network's probability that a reader wants: fractional, parametric_map.
    """

    language: Language = "en"
    pictures: tuple[Language, ...] = ()
    papers: tuple[Language, ...] = ()
    maps: tuple[str, ...] = ()

    def suffix(self, language: Language) -> str:
        """Return what the names of files in a language end with; empty for the node's own."""
        return "" if language == self.language else f"_{language}"
