"""``onconode find`` and ``onconode fetch``: what an archive holds, and bringing it here."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from node.cli.exit_codes import ExitCode
from node.cli.invocation import invocation_of
from node.cli.peers import find_peer
from node.cli.screen import err, out, table

if TYPE_CHECKING:
    from node.query.found import InstanceFound, SeriesFound, StudyFound

Ae = Annotated[
    str,
    typer.Argument(metavar="AE", help="Name or AE title of a peer in peers.yaml, or AE@HOST:PORT."),
]


def find(
    ctx: typer.Context,
    ae: Ae,
    *,
    study: Annotated[
        str, typer.Option(metavar="UID", help="List the series of this Study Instance UID.")
    ] = "",
    series: Annotated[
        str, typer.Option(metavar="UID", help="With --study: list the objects of this series.")
    ] = "",
    patient_id: Annotated[str, typer.Option(help="Studies of this Patient ID; * and ?.")] = "",
    accession: Annotated[str, typer.Option(help="Studies of this Accession Number.")] = "",
    date: Annotated[
        str, typer.Option(help="Studies of a day, YYYYMMDD, or of YYYYMMDD-YYYYMMDD.")
    ] = "",
    modality: Annotated[str, typer.Option(help="Studies with a series of this modality.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Ask an archive what it holds (C-FIND, study root; QIDO-RS where peers.yaml says so).

    Without --study it lists studies; names of patients are never asked for.
    Ends with code 4 when the archive is not there, with 5 when it refuses the question.
    """
    settings = invocation_of(ctx).settings
    peer = find_peer(settings, ae)
    if series and not study:
        raise typer.BadParameter("--series needs --study")
    if not any((study, patient_id, accession, date, modality)):
        raise typer.BadParameter("say which studies: a list of all could be very long")
    from node.bootstrap.asking import archive_of
    from node.query.found import StudyKeys

    archive = archive_of(settings, peer)
    found: Sequence[StudyFound | SeriesFound | InstanceFound]
    with err.status(f"asking {peer.ae_title}"):
        if series:
            found = archive.find_instances(study, series)
        elif study:
            found = archive.find_series(study)
        else:
            found = archive.find_studies(
                StudyKeys(
                    patient_id=patient_id,
                    accession_number=accession,
                    study_date=date,
                    modality=modality,
                )
            )
    entries = [asdict(each) for each in found]
    if as_json:
        typer.echo(json.dumps(entries, ensure_ascii=False, indent=2))
        return
    if not entries:
        out.print("nothing found")
        return
    rows = table(*(name.replace("_instance_uid", "").replace("_", " ") for name in entries[0]))
    for entry in entries:
        rows.add_row(*(Text(_cell(value)) for value in entry.values()))
    out.print(rows)


def fetch(
    ctx: typer.Context,
    ae: Ae,
    study: Annotated[str, typer.Option(metavar="UID", help="Study Instance UID.")],
    series: Annotated[str, typer.Option(metavar="UID", help="Only this Series Instance UID.")] = "",
    by_get: Annotated[
        bool,
        typer.Option(
            "--get",
            help="C-GET instead of C-MOVE, for archives that do not know the node's address.",
        ),
    ] = False,
) -> None:
    """Have an archive send a study to the running node, which treats it as any other.

    By C-MOVE to the node's own AE title; with --get, and from peers with DICOMweb, the objects are
    fetched by this command and handed to the node. Ends with code 4 when the archive or the node
    is not there, with 6 when not all objects arrived.
    """
    settings = invocation_of(ctx).settings
    peer = find_peer(settings, ae)
    from node.bootstrap.asking import fetch_to_node
    from node.query.found import Wanted

    wanted = Wanted(study_instance_uid=study, series_instance_uid=series)
    with err.status(f"fetching from {peer.ae_title}"):
        fetched = fetch_to_node(settings, peer, wanted, by_get=by_get)
    failed = f", {fetched.failed} failed" if fetched.failed else ""
    out.print(Text(f"{fetched.completed} objects arrived{failed}"))
    if fetched.failed or not fetched.completed:
        raise typer.Exit(ExitCode.NOT_DELIVERED)


def _cell(value: object) -> str:
    if value is None:
        return "?"
    return ", ".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)
