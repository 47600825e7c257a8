"""Nothing of a text goes without a trace when it is written in ASCII."""

import pytest

from node.domain.spelling import spell_plainly, without_spelling


@pytest.mark.parametrize(
    ("text", "spelled", "lost"),
    [
        ("Région \n du  cœur", "Region du coeur", ""),
        ("≥ 3 µm² ± 2 °", ">= 3 um2 +/- 2 degrees", ""),
        ("a\\b – “c” ß ø", 'a/b - "c" ss o', ""),
        ("胶质瘤?", "????", "胶质瘤"),
        ("lobe 左 upper", "lobe ? upper", "左"),
        ("", "", ""),
    ],
)
def test_what_has_no_spelling_is_marked(text: str, spelled: str, lost: str) -> None:
    assert spell_plainly(text) == spelled
    assert without_spelling(text) == lost
