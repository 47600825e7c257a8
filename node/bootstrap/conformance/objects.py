"""What SEG and SR hold, read from objects that the node's own code has just made."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset

from node.bootstrap.conformance.tables import table
from node.config.settings import ReportSettings
from node.emulate.marked_results import write_marked_results
from node.report.sources import IDENTITY_KEYWORDS

COPIED = frozenset(
    {
        *IDENTITY_KEYWORDS,
        "SpecificCharacterSet",
        "BodyPartExamined",
        "StudyInstanceUID",
        "StudyDescription",
        "FrameOfReferenceUID",
        "PositionReferenceIndicator",
        "PatientIdentityRemoved",
        "DeidentificationMethod",
    }
)
"""From the source images, as far as they have them."""
NOT_SHOWN = frozenset({"ContentSequence"})
"""Has a table of its own."""
DEEPEST = 3


def sample_results(settings: ReportSettings) -> tuple[Dataset, Dataset, Dataset]:
    """Return SEG, SR and Encapsulated PDF with all that a bundle with a classifier gives."""
    with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
        results = write_marked_results(
            Path(folder), study="conformance", run="conformance", settings=settings, assessed=True
        )
    seg, sr = results.datasets
    return seg, sr, results.paper


def attributes_table(dataset: Dataset) -> str:
    """Return attributes in the order of their tags, those of sequences indented by ``>``."""
    seen: dict[tuple[str, ...], list[str]] = {}
    for path, row in _attributes(dataset, ()):
        seen.setdefault(path, row)
    return table(["attribute", "tag", "VR", "value"], seen.values())


def content_table(sr: Dataset) -> str:
    """Return the content tree of an SR, each kind of item once below its parent."""
    seen: dict[tuple[str, ...], list[str]] = {}
    for path, row in _items(sr, ()):
        seen.setdefault(path, row)
    return table(["relationship", "value type", "concept", "code"], seen.values())


def _attributes(
    dataset: Dataset, above: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    for element in dataset:
        keyword = element.keyword or str(element.tag)
        tag = f"({element.tag.group:04X},{element.tag.element:04X})"
        if not above and keyword in COPIED:
            value = "of the source images"
        elif element.VR == "CS" and element.value:
            values = [element.value] if isinstance(element.value, str) else element.value
            value = "\\".join(map(str, values))
        elif element.VR == "AT":
            value = keyword_for_tag(element.value)
        else:
            value = ""
        path = (*above, keyword)
        yield path, [f"{'> ' * len(above)}{element.name}", tag, element.VR, value]
        if element.VR == "SQ" and keyword not in NOT_SHOWN and len(above) < DEEPEST:
            for item in element.value:
                yield from _attributes(item, path)


def _items(
    container: Dataset, above: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    for item in container.get("ContentSequence", ()):
        concepts = item.get("ConceptNameCodeSequence")
        code = concepts[0] if concepts else None
        meaning = str(code.CodeMeaning) if code else ""
        value = f"({code.CodeValue}, {code.CodingSchemeDesignator})" if code else ""
        kind = str(item.ValueType)
        relationship = str(item.RelationshipType)
        path = (*above, f"{relationship} {kind} {value}")
        yield path, [f"{'> ' * len(above)}{relationship}", kind, meaning, value]
        yield from _items(item, path)
