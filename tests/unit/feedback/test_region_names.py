"""Several regions in one text, and their names again."""

import pytest

from node.feedback.export import BETWEEN_REGIONS


@pytest.mark.parametrize(
    ("text", "regions"),
    [
        ("1 Lesion", ["1 Lesion"]),
        ("1 Lesion, 2 Lesion", ["1 Lesion", "2 Lesion"]),
        ("1 Neoplasm, Primary", ["1 Neoplasm, Primary"]),
        ("1 Neoplasm, Primary, 12 Mass", ["1 Neoplasm, Primary", "12 Mass"]),
        ("1, 2 Mass", ["1", "2 Mass"]),
        ("1, 2", ["1", "2"]),
    ],
)
def test_a_comma_in_a_name_parts_nothing(text: str, regions: list[str]) -> None:
    assert BETWEEN_REGIONS.split(text) == regions
