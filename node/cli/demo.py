"""``onconode demo``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from node.cli.invocation import invocation_of
from node.cli.lesions import lesion_table
from node.cli.screen import err, facts, out

if TYPE_CHECKING:  # at run time it is imported late: it loads pydicom and much else
    from node.bootstrap.demo import DemoResult

TIMEOUT_S = 180.0


def demo(
    ctx: typer.Context,
    keep: Annotated[
        bool,
        typer.Option(
            "--keep", help="Leave node and archive running, and say how to send them a study."
        ),
    ] = False,
    case: Annotated[
        str, typer.Option("--case", metavar="NAME", help="Sample case: brain1 or brain2.")
    ] = "brain1",
    folder: Annotated[
        Path,
        typer.Option(
            "--out", metavar="DIR", file_okay=False, help="Where study, log and results go."
        ),
    ] = Path("demo-out"),
) -> None:
    """Show the whole chain once: a real brain MR study in, SEG and SR back.

    Starts a node and an archive of its own, sends the study that comes with the project, waits
    for the results and prints lesions, Dice against the reference, the seconds of every stage,
    and where SEG, SR and overlay lie.
    """
    from node.bootstrap.demo import ARCHIVE_AE, NODE_AE, Demo, NotDelivered
    from node.cli.exit_codes import ExitCode
    from node.emulate.phantom import CASES

    if case not in CASES:
        raise typer.BadParameter(f"{case!r}: expected one of {', '.join(CASES)}")
    demonstration = Demo(folder, models_dir=invocation_of(ctx).settings.node.models_dir, case=case)
    bar = Progress(
        TextColumn("{task.description:<36}"), BarColumn(), TimeElapsedColumn(), console=err
    )
    try:
        with bar:
            task = bar.add_task("", total=1.0)

            def show(what: str, share: float) -> None:
                bar.update(task, description=what, completed=share)

            with demonstration.running(keep=keep, progress=show) as settings:
                result = demonstration.send_and_wait(settings, timeout_s=TIMEOUT_S, progress=show)
                show("done", 1.0)
    except NotDelivered as fault:
        err.print(Text(f"The demo failed: {fault}", style="bold red"), soft_wrap=True)
        raise typer.Exit(ExitCode.NOT_DELIVERED) from fault
    _print(result, case)
    if keep:
        node = f"127.0.0.1 {settings.node.port}"
        out.print()
        out.print(
            facts(
                [
                    ("node", f"{NODE_AE} at {node}"),
                    ("archive", f"{ARCHIVE_AE}, keeps objects in {demonstration.archive_dir}"),
                    ("send a study", f"storescu -aec {NODE_AE} +sd -R {node} STUDY_FOLDER"),
                    ("jobs", f"onconode --config {demonstration.config_dir} jobs list"),
                    ("log", str(demonstration.log_file)),
                    ("stop", f"kill {' '.join(demonstration.process_ids)}"),
                ]
            ),
            soft_wrap=True,
        )


def _print(result: "DemoResult", case: str) -> None:
    """Print what came of the study."""
    lesions = result.result["lesions"]
    out.print()
    out.print(lesion_table(result.result) if lesions else Text("No lesion was found."))
    out.print()
    stages = "  ".join(f"{name} {seconds:.1f}" for name, seconds in result.seconds.items())
    out.print(
        facts(
            [
                ("Dice", f"{result.dice:.3f} against the reference mask of {case}"),
                ("seconds", f"{stages}  (last byte in to results accepted: {result.total_s:.1f})"),
                ("SEG", str(result.seg or "none: nothing was found")),
                ("SR", str(result.sr)),
                ("overlay", str(result.overlay)),
            ]
        ),
        soft_wrap=True,
    )
    out.print()
    out.print(Text("Research use, not for diagnosis.", style="dim"))
