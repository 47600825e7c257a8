"""``onconode doctor``."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from node.cli.exit_codes import ExitCode
from node.cli.invocation import invocation_of
from node.cli.peers import find_peer
from node.cli.screen import err, out, table
from node.domain.errors import SetupFault

if TYPE_CHECKING:
    from node.bootstrap.doctor.sheet import Line

STYLES = {"pass": "green", "warn": "yellow", "fail": "bold red", "skip": "dim"}


def doctor(
    ctx: typer.Context,
    peer: Annotated[
        str,
        typer.Argument(
            metavar="[PEER]",
            help="Only this peer: name, AE title, or AE@HOST:PORT.",
            show_default=False,
        ),
    ] = "",
    *,
    phantom: Annotated[
        bool,
        typer.Option(
            "--phantom",
            help="Send a sample study through the running node's own port, and read SEG and SR "
            "back from where its rule sends them.",
        ),
    ] = False,
    sender: Annotated[
        str,
        typer.Option("--from", metavar="AE", help="With --phantom: AE title that it comes from."),
    ] = "",
    send: Annotated[
        bool,
        typer.Option(
            "--send/--no-send",
            help="Store a SEG and an SR marked as TEST in peers that get results, find them "
            "back, and ask for commitment.",
        ),
    ] = True,
    quick: Annotated[
        bool, typer.Option("--quick", help="Leave out the golden input of the model bundles.")
    ] = False,
    wait_s: Annotated[
        float,
        typer.Option("--wait", min=1, help="With --phantom: seconds until it is delivered."),
    ] = 600,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Try the node and its peers, one by one: what was tried, what came of it, what to do.

    Test objects say TEST in the patient's name, in the Patient ID and in their descriptions; the
    sheet tells which were stored where.

    Ends with code 5 when something about the node failed, with 6 when the phantom did not come
    back, with 4 when a peer failed; warnings end with 0.
    """
    invocation = invocation_of(ctx)
    from node.bootstrap.doctor.examine import Wish, examine
    from node.bootstrap.doctor.own import tell_faults

    try:
        settings = invocation.settings
    except SetupFault as fault:
        lines = list(tell_faults(fault.problems, fault.summary))
    else:
        wish = Wish(
            peer=find_peer(settings, peer) if peer else None,
            send=send,
            golden=not quick,
            phantom=phantom,
            sender=sender,
            phantom_timeout_s=wait_s,
        )
        with err.status("looking") as status, TemporaryDirectory(prefix="doctor-") as folder:
            lines = list(
                examine(
                    settings, invocation.config_dir, wish,
                    folder=Path(folder), progress=status.update,
                )
            )  # fmt: skip
    if as_json:
        _print_json(lines)
    else:
        _print_sheet(lines)
    raise typer.Exit(_exit_code(lines))


def _print_json(lines: "Sequence[Line]") -> None:
    from node.bootstrap.doctor.sheet import count_marks

    told = {"counts": count_marks(lines), "lines": [asdict(line) for line in lines]}
    typer.echo(json.dumps(told, ensure_ascii=False, indent=2))


def _print_sheet(lines: "Sequence[Line]") -> None:
    from node.bootstrap.doctor.sheet import count_marks

    rows = table("", "about", "check", "found, tried, to do")
    for line in lines:
        told = Text.assemble(line.found, (f"\n{line.tried}", "dim"))
        if line.remedy:
            told.append(f"\nto do: {line.remedy}", style=STYLES[line.mark.value])
        rows.add_row(
            Text(line.mark.value, style=STYLES[line.mark.value]),
            Text(line.about),
            Text(line.check),
            told,
        )
    out.print(rows)
    for line in lines:
        if line.stored:
            objects = ", ".join(line.stored)
            out.print(Text(f"test objects in {line.about}: {objects}"), soft_wrap=True)
    counts = count_marks(lines)
    out.print(Text(", ".join(f"{number} {mark}" for mark, number in counts.items())))


def _exit_code(lines: "Sequence[Line]") -> ExitCode:
    from node.bootstrap.doctor.sheet import NODE, PHANTOM, has_failed

    if has_failed(lines, about=NODE):
        return ExitCode.SETUP_FAULT
    if has_failed(lines, about=PHANTOM):
        return ExitCode.NOT_DELIVERED
    return ExitCode.TRY_LATER if has_failed(lines) else ExitCode.OK
