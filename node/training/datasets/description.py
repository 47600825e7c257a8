"""``dataset.yaml``: how a user's folder of images and masks is laid out."""

import re
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from node.domain.errors import Problem, SetupFault
from node.training.datasets.labelled import expect_files

FILE_NAME = "dataset.yaml"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TableDescription(_Frozen):
    """A CSV file with what is known of each case or patient.

    Parameters
    ----------
    file : str
        Relative to the folder.
    key : str
        Column that names the case or the patient.
    rows : str
        Whether a row is about a ``case`` or a ``patient``.
    tumour_type, malignant : str
        Columns; empty if there is none.
    malignant_values, benign_values : tuple of str
        What stands in the column ``malignant``; any other value leaves the question open.
    notes : tuple of str
        Further columns that figures are to be grouped by.
    """

    file: str
    key: str
    rows: Literal["case", "patient"] = "patient"
    tumour_type: str = ""
    malignant: str = ""
    malignant_values: tuple[str, ...] = ("1", "yes", "true", "malignant")
    benign_values: tuple[str, ...] = ("0", "no", "false", "benign")
    notes: tuple[str, ...] = ()


class _Description(_Frozen):
    modality: Literal["CT", "MR"]
    patient: str = ""
    tumour_type: str = ""
    malignant: bool | None = None
    table: TableDescription | None = None
    allow_empty: bool = False

    @field_validator("patient")
    @classmethod
    def _is_pattern(cls, pattern: str) -> str:
        try:
            groups = re.compile(pattern).groups
        except re.error as fault:
            raise ValueError(f"no regular expression: {fault}") from fault
        if pattern and groups != 1:
            raise ValueError("needs one group in round brackets, the patient")
        return pattern


class FilesDescription(_Description):
    """Pairs of NIfTI, NRRD or other files that SimpleITK reads.

    Parameters
    ----------
    images : dict of str to str
        Path of the image of each role, relative to the folder, with ``{case}`` for the name of the
        case, optionally ``{patient}``, and ``*`` for any text within a name.
    label : str
        The same for the mask.
    label_values : tuple of int
        Values of the mask that count; empty for all above 0.
    resample : bool
        Whether images of other grids are interpolated on that of the mask, or reported.
    modality : str
        ``CT`` (HU) or ``MR``.
    patient : str
        Regular expression whose group is the patient, searched in the case's name. Without it,
        and without ``{patient}``, each case counts as a patient.
    tumour_type, malignant : str, bool or None
        What holds for every case, where no table tells.
    table : TableDescription, optional
    allow_empty : bool
        Whether empty masks are tumour-free cases, or faults.
    """

    kind: Literal["files"]
    images: dict[str, str] = Field(min_length=1)
    label: str
    label_values: tuple[int, ...] = ()
    resample: bool = False

    @model_validator(mode="after")
    def _patterns_name_the_case(self) -> "FilesDescription":
        for pattern in (*self.images.values(), self.label):
            if "{case}" not in pattern:
                raise ValueError(f"{pattern!r} lacks {{case}}")
            if set(re.findall(r"{(.*?)}", pattern)) - {"case", "patient"}:
                raise ValueError(f"{pattern!r}: only {{case}} and {{patient}} are known")
        return self


class RoleDescription(_Frozen):
    """Which series plays a role.

    Parameters
    ----------
    series_description, not_series_description : tuple of str
        One of the first must match, none of the second may; ``*`` and ``?`` are special, case is
        not. Empty: any.
    """

    series_description: tuple[str, ...] = ()
    not_series_description: tuple[str, ...] = ()


class DicomDescription(_Description):
    """DICOM series with SEG or RTSTRUCT objects, at any depth of folders.

    Parameters
    ----------
    roles : dict of str to RoleDescription
    labels : tuple of str
        Patterns for the names of segments or regions that count, all united.
    unite : bool
        Whether several objects on one series are united, or reported as ambiguous.
    resample : bool
        Whether series of other grids are interpolated on that of the outlined one, or reported.
    modality, patient, tumour_type, malignant, table, allow_empty
        As in ``FilesDescription``; ``patient`` is searched in Patient ID.
    """

    kind: Literal["dicom"]
    roles: dict[str, RoleDescription] = Field(min_length=1)
    labels: tuple[str, ...] = ("*",)
    unite: bool = False
    resample: bool = True


Description = FilesDescription | DicomDescription
_ADAPTER: TypeAdapter[Description] = TypeAdapter(
    Annotated[Description, Field(discriminator="kind")]
)


def load_description(directory: Path) -> Description:
    """Read ``dataset.yaml`` of a folder.

    Raises
    ------
    InputRejected
        If the folder has none.
    SetupFault
        If it is not YAML, or has unknown or wrong keys; all are named.
    """
    expect_files(directory, (FILE_NAME,))
    try:
        return _ADAPTER.validate_python(yaml.safe_load((directory / FILE_NAME).read_text()))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as fault:
        raise SetupFault(f"{FILE_NAME} cannot be read: {fault}") from fault
    except ValidationError as fault:
        problems = [
            Problem(
                code="dataset-key",
                found=f"{error['msg']} ({error.get('input')!r})"[:200],
                expected="a key and value as documented in models/README.md",
                remedy=f"correct {FILE_NAME}",
                tag=f"{FILE_NAME}:{'.'.join(str(part) for part in error['loc'])}",
            )
            for error in fault.errors()
        ]
        raise SetupFault(f"{FILE_NAME} is wrong", problems) from fault
