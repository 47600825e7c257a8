"""Texts of headers, as people and databases get them."""

import pytest
from pydicom import Dataset, Sequence
from pydicom.multival import MultiValue

from node.dicom.text import as_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (3, "3"),
        ("Les\0ion\x7f", "Lesion"),
        ("two\r\nlines\tand a tab", "two\r\nlines\tand a tab"),
        ("\x1b$)A王", "王"),
        (MultiValue(str, ["a", "b\0"]), "a\\b"),
        (Sequence([Dataset()]), ""),
        (Dataset(), ""),
    ],
)
def test_a_text_has_what_a_text_may_have(value: object, text: str) -> None:
    assert as_text(value) == text
