"""T1 before and after contrast agent as two phases of one series, as DCE protocols store them."""

from collections.abc import Sequence
from pathlib import Path

from factories_images import edit_files
from pydicom import Dataset, dcmread

from node.config.settings import PartChoice, SequenceMatch


def role_of_phase(position: int | str) -> tuple[SequenceMatch, ...]:
    """What a site writes for a role that one phase of the series plays."""
    return (
        SequenceMatch(description=("* dce *",), part=PartChoice(temporal_position=position)),  # type: ignore[arg-type]  # pydantic checks
    )


PHASE_ROLES = {"t1": role_of_phase(1), "t1ce": role_of_phase(2)}


def put_in_one_series(folder: Path, roles: Sequence[str] = ("t1", "t1ce")) -> str:
    """Make the series of these roles the phases of that of the first; return its UID."""
    first = dcmread(next((folder / roles[0]).iterdir()), stop_before_pixels=True)
    for position, role in enumerate(roles, start=1):
        number = 1000 * position

        def edit(dataset: Dataset, k: int, position: int = position, number: int = number) -> None:
            dataset.SeriesInstanceUID = first.SeriesInstanceUID
            dataset.SeriesNumber = first.SeriesNumber
            dataset.SeriesDescription = dataset.ProtocolName = "AX T1 DCE"
            dataset.InstanceNumber = number + k
            dataset.TemporalPositionIdentifier = position
            dataset.NumberOfTemporalPositions = len(roles)
            dataset.ContrastBolusAgent = "GADOLINIUM"

        edit_files(sorted((folder / role).iterdir()), edit)
    return str(first.SeriesInstanceUID)
