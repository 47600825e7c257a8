"""The CSV file of a user's data set: tumour type and malignancy by case or patient."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from node.domain.errors import InputRejected, Problem, SetupFault
from node.training.datasets.description import DicomDescription, FilesDescription, TableDescription
from node.training.datasets.read_set import fault


@dataclass(frozen=True, kw_only=True)
class CaseFacts:
    """What is known of a case besides its images, see ``LabelledCase``."""

    tumour_type: str = ""
    malignant: bool | None = None
    notes: Mapping[str, str] = field(default_factory=dict)


class CaseTable:
    """The facts of every case.

    Parameters
    ----------
    directory : Path
    description : FilesDescription or DicomDescription
        Without a table its own facts hold for every case.

    Raises
    ------
    SetupFault
        If the file or a column is missing.
    """

    def __init__(self, directory: Path, description: FilesDescription | DicomDescription) -> None:
        self.table = description.table
        self.common = CaseFacts(
            tumour_type=description.tumour_type, malignant=description.malignant
        )
        self.rows: dict[str, list[dict[str, str]]] = {}
        if self.table is not None:
            for row in _read_rows(directory / self.table.file, self.table):
                self.rows.setdefault(row[self.table.key].strip(), []).append(row)

    def find(self, *, case: str, patient: str) -> CaseFacts:
        """Find the facts of a case.

        Raises
        ------
        InputRejected
            If the table has no row for it, or rows that contradict each other.
        """
        if self.table is None:
            return self.common
        key = case if self.table.rows == "case" else patient
        found = {self._facts_of(row) for row in self.rows.get(key, [])}
        if len(found) != 1:
            raise InputRejected([self._problem(case, len(found))])
        tumour_type, malignant, notes = found.pop()
        return CaseFacts(tumour_type=tumour_type, malignant=malignant, notes=dict(notes))

    def _facts_of(
        self, row: dict[str, str]
    ) -> tuple[str, bool | None, tuple[tuple[str, str], ...]]:
        assert self.table is not None, "there are rows only of a table"
        tumour_type, malignant = self.common.tumour_type, self.common.malignant
        if self.table.tumour_type:
            tumour_type = row[self.table.tumour_type].strip()
        if self.table.malignant:
            value = row[self.table.malignant].strip().casefold()
            malignant = None
            if value in {text.casefold() for text in self.table.malignant_values}:
                malignant = True
            elif value in {text.casefold() for text in self.table.benign_values}:
                malignant = False
        return tumour_type, malignant, tuple((name, row[name]) for name in self.table.notes)

    def _problem(self, case: str, count: int) -> Problem:
        assert self.table is not None, "only a table can lack a row"
        return fault(
            "ambiguous-row" if count else "no-row",
            case,
            found=f"{count} different rows" if count else "no row",
            expected=f"one row for each {self.table.rows} in {self.table.file}",
            remedy="complete the table",
        )


def _read_rows(path: Path, table: TableDescription) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restval="")
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as trouble:
        raise SetupFault(f"{table.file} cannot be read: {trouble}") from trouble
    wanted = [table.key, table.tumour_type, table.malignant, *table.notes]
    missing = [name for name in wanted if name and name not in (reader.fieldnames or ())]
    if missing:
        raise SetupFault(f"{table.file} has no column {', '.join(missing)}")
    return rows
