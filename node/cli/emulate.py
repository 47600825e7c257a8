"""``onconode emulate``."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.text import Text

from node.cli import screen
from node.domain.errors import InputRejected, Problem


def emulate(
    data: Annotated[
        Path,
        typer.Option(
            "--data",
            metavar="DIR",
            exists=True,
            file_okay=False,
            help="Folder of the LGG set: images.zip, masks.zip and index.csv.",
        ),
    ],
    patient: Annotated[str, typer.Option("--patient", metavar="ID", help="As in index.csv.")],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="OUT",
            file_okay=False,
            help="Gets the study in OUT/dicom and its mask in OUT/reference.npz.",
        ),
    ],
) -> None:
    """Write a patient of the LGG set as a DICOM study of three MR sequences.

    What `onconode process OUT/dicom` finds can then be compared with `mask` (z, y, x) in
    reference.npz; `source_uids` there tells the image of each slice.
    """
    from node.emulate.sequences import write_sequences
    from node.training.datasets.lgg import ROLES, read_lgg

    with screen.err.status("reading the set"):
        cases = {case.patient: case for case in read_lgg(data)}
    if patient not in cases:
        raise InputRejected(
            [
                Problem(
                    code="unknown-patient",
                    found=patient,
                    expected=f"one of {len(cases)} patients with all sequences",
                    remedy="name a patient of index.csv whose sequences are all there",
                )
            ]
        )
    case = cases[patient]
    written = write_sequences(
        dict(zip(ROLES, case.volumes, strict=True)), out / "dicom", name=patient
    )
    first = next(iter(ROLES))
    np.savez_compressed(
        out / "reference.npz",
        mask=case.mask,
        source_uids=np.array(written.source_uids[first]),
        affine=case.volume.geometry.affine,
    )
    screen.out.print(
        Text(f"study {written.study_instance_uid}: {len(written.paths)} images in {out / 'dicom'}")
    )
