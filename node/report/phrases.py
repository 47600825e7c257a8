"""Phrases that key image, secondary capture and PDF report share."""

from node.domain.code import Code
from node.domain.finding import Finding
from node.domain.report import Report
from node.language import Words
from node.report.ibsi import IBSI_OF_FEATURE


def tell_banner(words: Words) -> str:
    """Say that this is no diagnosis."""
    return words.gettext("AI - research use, not for diagnosis")


def tell_count(report: Report, words: Words) -> str:
    """Say how many lesions were found, or that none was."""
    count = len(report.segmentation.lesions)
    if not count:
        return words.gettext("No %(what)s found", what=tell_code(report.model.finding_type, words))
    return words.ngettext("%(n)s lesion found", "%(n)s lesions found", count)


def tell_code(code: Code, words: Words) -> str:
    """Return the meaning of a code, without the capital of its beginning."""
    return words.retell(code.meaning) if words.language != "en" else code.meaning.lower()


def tell_assessment(finding: Finding, words: Words) -> str:
    """Say malignant, benign or indeterminate."""
    return tell_code(finding.assessment, words)


def tell_type(name: str, words: Words) -> str:
    """Return the name of a tumour type of a bundle."""
    return words.retell(name)


def tell_feature(name: str, words: Words) -> str:
    """Return the IBSI name of a feature with its code; its PyRadiomics name where it has none."""
    code, meaning = IBSI_OF_FEATURE.get(name, ("", ""))
    return f"{words.retell(meaning)} (IBSI {code})" if code else name
