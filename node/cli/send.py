"""``onconode send``."""

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from node.cli.exit_codes import ExitCode
from node.cli.invocation import invocation_of
from node.cli.peers import find_peer
from node.cli.screen import err, out, table

MAGIC_AT, MAGIC = 128, b"DICM"


def send(
    ctx: typer.Context,
    directory: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", exists=True, readable=True, help="Folder of DICOM files, or one file."
        ),
    ],
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="AE",
            help="Name or AE title of a peer in peers.yaml, or AE@HOST:PORT.",
        ),
    ],
) -> None:
    """Send the DICOM files of a folder to a peer (C-STORE), results included.

    Files without DICOM file meta are counted and left out. Ends with code 4 when the peer is not
    there, with 6 when it refused any object.
    """
    settings = invocation_of(ctx).settings
    peer = find_peer(settings, to)
    if peer.takes_messages:
        raise typer.BadParameter(f"{peer.name} gets messages, no DICOM objects")
    paths, others = find_dicom_files(directory)
    if others:
        err.print(f"left out, not DICOM Part 10: {len(others)} of {len(paths) + len(others)} files")
    if not paths:
        raise typer.BadParameter(f"no DICOM files in {directory}")
    from node.deliver.c_store import send_objects

    with err.status(f"sending {len(paths)} objects"):
        outcomes = send_objects(
            paths,
            peer=peer,
            calling_ae_title=settings.node.ae_title,
            settings=settings.node.deliver,
        )
    refused = [outcome for outcome in outcomes if not outcome.accepted]
    accepted = len(outcomes) - len(refused)
    out.print(Text(f"{peer.ae_title} accepted {accepted} of {len(paths)} objects"))
    if refused:
        rows = table("file", "status", "reason")
        for outcome in refused:
            rows.add_row(Text(outcome.path.name), f"0x{outcome.status:04X}", Text(outcome.detail))
        err.print(rows)
    if accepted < len(paths):
        raise typer.Exit(ExitCode.NOT_DELIVERED)


def find_dicom_files(place: Path) -> tuple[list[Path], list[Path]]:
    """Return the DICOM Part 10 files at or below ``place``, and the other files; both sorted.

    References
    ----------
    PS3.10 7.1 (preamble and prefix).
    """
    files = [place] if place.is_file() else sorted(p for p in place.rglob("*") if p.is_file())
    dicom = [path for path in files if _has_magic(path)]
    found = set(dicom)
    return dicom, [path for path in files if path not in found]


def _has_magic(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(MAGIC_AT + len(MAGIC))[MAGIC_AT:] == MAGIC
