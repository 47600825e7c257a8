"""A user's own data set: a folder with a ``dataset.yaml``."""

from pathlib import Path

from node.training.datasets.description import DicomDescription, load_description
from node.training.datasets.dicom_pairs import read_dicom_pairs
from node.training.datasets.file_pairs import read_file_pairs
from node.training.datasets.labelled import LabelledCase
from node.training.datasets.read_set import ReadSet, report_left_out


def read_folders(directory: Path) -> list[LabelledCase]:
    """Read the cases that ``dataset.yaml`` describes; log those that had to be left out.

    Parameters
    ----------
    directory : Path
        Holds ``dataset.yaml``, and at any depth DICOM series with SEG or RTSTRUCT objects, or
        pairs of NIfTI or NRRD files.

    Returns
    -------
    list of LabelledCase
        ``volumes`` in the order of the roles.

    Raises
    ------
    InputRejected
        If there is no ``dataset.yaml``, or no complete case is left.
    SetupFault
        If ``dataset.yaml`` or its table is wrong.
    """
    return report_left_out(read_folder_set(directory))


def read_folder_set(directory: Path) -> ReadSet:
    """Read the same, with what was left out and why."""
    description = load_description(directory)
    if isinstance(description, DicomDescription):
        return read_dicom_pairs(directory, description)
    return read_file_pairs(directory, description)
