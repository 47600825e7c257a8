"""Coded concepts: value, scheme and meaning, as DICOM PS3.3 section 8 has them."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Code:
    """A coded concept.

    Parameters
    ----------
    value : str
        Code value, e.g. ``"108369006"``.
    scheme : str
        Coding scheme designator, e.g. ``"SCT"``, ``"DCM"``, ``"UCUM"``, ``"IBSI"``.
    meaning : str
        Code meaning for people, at most 64 characters.
    """

    value: str
    scheme: str
    meaning: str

    def __str__(self) -> str:
        return f"{self.meaning} ({self.value}, {self.scheme})"
