"""Tables of the statement in Markdown, and the same tables read back."""

import re
from collections.abc import Iterable, Sequence

from pydicom.uid import UID

from node.bootstrap.conformance.claims import Activity, Claim

OTHER_NAMES = {
    # of the standard, but younger than pydicom's dictionary
    "1.2.840.10008.5.1.4.1.1.66.7": "Label Map Segmentation Storage",
    "1.2.840.10008.5.1.4.1.1.66.8": "Height Map Segmentation Storage",
    "1.2.840.10008.5.1.4.1.1.9.100.1": "Waveform Presentation State Storage",
    "1.2.840.10008.5.1.4.1.1.9.100.2": "Waveform Acquisition Presentation State Storage",
    "1.3.12.2.1107.5.9.1": "Siemens CSA Non-Image Storage (private)",
    "1.3.46.670589.11.0.0.12.1": "Philips MR Spectrum Storage (private)",
    "1.3.46.670589.11.0.0.12.2": "Philips MR Series Data Storage (private)",
    "1.3.46.670589.11.0.0.12.4": "Philips MR Examcard Storage (private)",
}
ACCEPTED_HEADING = "SOP classes that are accepted"
SYNTAXES_HEADING = "Sets of transfer syntaxes"


def name_of(uid: str) -> str:
    """Return the name of a UID; the UID itself where nobody gave it one."""
    return OTHER_NAMES.get(uid) or UID(uid).name


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table."""
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    lines += [f"| {' | '.join(_cell(each) for each in row)} |" for row in rows]
    return "\n".join(lines)


class SyntaxSets:
    """Gives each set of transfer syntaxes a letter, so that tables stay readable.

    Parameters
    ----------
    claims : iterable of Claim
        In the order in which letters are given.
    """

    def __init__(self, claims: Iterable[Claim]) -> None:
        self._letters: dict[frozenset[str], str] = {}
        for claim in claims:
            letter = chr(ord("A") + len(self._letters))
            self._letters.setdefault(claim.transfer_syntax_uids, letter)

    def letter(self, claim: Claim) -> str:
        """Return the letter of a claim's transfer syntaxes."""
        return self._letters[claim.transfer_syntax_uids]

    def table(self) -> str:
        """Return which syntaxes are in which set."""
        everything = sorted(
            {uid for each in self._letters for uid in each},
            key=lambda uid: [int(part) for part in uid.split(".")],
        )
        rows = [
            [
                name_of(uid),
                f"`{uid}`",
                " ".join(self._letters[s] for s in self._letters if uid in s),
            ]
            for uid in everything
        ]
        return table(["transfer syntax", "UID", "in sets"], rows)


def claims_table(claims: Sequence[Claim], sets: SyntaxSets) -> str:
    """Return SOP classes with role and set."""
    rows = [
        [name_of(each.sop_class_uid), f"`{each.sop_class_uid}`", each.role, sets.letter(each)]
        for each in claims
    ]
    return table(["SOP class", "UID", "role of the node", "transfer syntaxes"], rows)


def read_accepted(statement: str) -> tuple[Claim, ...]:
    """Return what a statement says is accepted."""
    return _read_claims(_below(statement, ACCEPTED_HEADING), _read_sets(statement))


def read_proposed(statement: str, activities: Iterable[Activity]) -> tuple[Activity, ...]:
    """Return what a statement says is proposed, for activities of these names."""
    sets = _read_sets(statement)
    return tuple(
        Activity(name=each.name, claims=_read_claims(_below(statement, each.name), sets))
        for each in activities
    )


def _read_sets(statement: str) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for _, uid, letters in _rows(_below(statement, SYNTAXES_HEADING)):
        for letter in letters.split():
            found.setdefault(letter, set()).add(uid)
    return {letter: frozenset(uids) for letter, uids in found.items()}


def _read_claims(text: str, sets: dict[str, frozenset[str]]) -> tuple[Claim, ...]:
    return tuple(
        Claim(sop_class_uid=uid, role=role, transfer_syntax_uids=sets[letter])
        for _, uid, role, letter in _rows(text)
    )


def _below(statement: str, heading: str) -> str:
    """Return the first table below a heading."""
    match = re.search(rf"^#+ [\d.]* ?{re.escape(heading)}$", statement, flags=re.MULTILINE)
    if match is None:
        raise ValueError(f"the statement has no heading {heading!r}")
    block = re.search(
        r"^\|.*?(?=\n\n|\Z)", statement[match.end() :], flags=re.DOTALL | re.MULTILINE
    )
    if block is None:
        raise ValueError(f"no table below {heading!r}")
    return block[0]


def _rows(text: str) -> list[list[str]]:
    return [
        [cell.strip().strip("`") for cell in line.strip("|").split("|")]
        for line in text.splitlines()[2:]
    ]


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
