"""``onconode feedback``: what people said of results, and its export for training."""

import json
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from node.cli.exit_codes import ExitCode
from node.cli.feedback_table import feedback_table, tell
from node.cli.invocation import invocation_of
from node.cli.screen import err, facts, out
from node.domain.errors import SetupFault
from node.domain.feedback import FeedbackKind

if TYPE_CHECKING:
    from node.bootstrap.parts import Parts

app = typer.Typer(
    no_args_is_help=True,
    help="What people said of results: list, look into one, export corrected outlines.",
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Study = Annotated[str | None, typer.Option(metavar="UID", help="Only of this Study Instance UID.")]
Author = Annotated[str | None, typer.Option(help="Only of this author, as the list names them.")]


@app.command("list")
def list_feedback(
    ctx: typer.Context,
    *,
    study: Study = None,
    job: Annotated[str | None, typer.Option(metavar="JOB", help="Only of this job.")] = None,
    author: Author = None,
    kind: Annotated[list[FeedbackKind] | None, typer.Option(help="Only of this kind.")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also what its author has superseded.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the latest first.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List what people, and other algorithms, said of results."""
    found = _parts(ctx).feedback.list(
        study=study,
        job=job,
        author=author,
        kinds=kind or (),
        superseded=everything,
        limit=limit,
    )
    if as_json:
        _print_json([asdict(each) for each in found])
    elif found:
        out.print(feedback_table(found))
    else:
        out.print("nothing was said")


@app.command("show")
def show_feedback(
    ctx: typer.Context,
    number: Annotated[int, typer.Argument(metavar="NUMBER", help="As the list has it.")],
    as_json: AsJson = False,
) -> None:
    """Show one opinion, with all that its author has said of the same."""
    parts = _parts(ctx)
    try:
        found, history = parts.feedback.get(number), parts.feedback.history(number)
    except KeyError:
        raise typer.BadParameter(f"no opinion {number}") from None
    if as_json:
        _print_json({**asdict(found), "history": [asdict(each) for each in history]})
        return
    opinion = found.opinion
    out.print(
        facts(
            [
                ("number", f"{found.feedback_id}, version {found.version}"),
                ("superseded", "no" if found.is_current else "yes"),
                ("what", f"{opinion.kind.value}, by {opinion.source.value}"),
                ("author", f"{opinion.author or 'unnamed'}, {opinion.voice.value}"),
                ("said", f"{opinion.at.astimezone():%Y-%m-%d %H:%M:%S}"),
                ("study", opinion.study_instance_uid),
                ("job", opinion.job_id),
                ("bundle", opinion.bundle),
                ("lesion", opinion.tracking_uid or "none of the node's"),
                ("region", opinion.region or "none"),
                ("says", tell(opinion) or opinion.kind.value),
                ("resampled", "yes" if opinion.outline and opinion.outline.is_resampled else "no"),
                ("result", opinion.result_sop_instance_uid or "none"),
                ("object", opinion.sop_instance_uid or "none"),
            ]
        )
    )
    if len(history) > 1:
        out.print(feedback_table(history, title="Versions"))


@app.command("export")
def export(
    ctx: typer.Context,
    directory: Annotated[
        Path, typer.Argument(metavar="OUT", file_okay=False, help="New or empty folder.")
    ],
    bundle: Annotated[str | None, typer.Option(help="Only results of this bundle.")] = None,
    study: Study = None,
    author: Author = None,
) -> None:
    """Write corrected outlines with their images as a folder that training reads.

    The folder is not de-identified. Nothing is trained by this. Ends with code 6 when some
    outline could not be exported, each with the reason.
    """
    from node.bootstrap.exporting_feedback import export_feedback
    from node.feedback.export import WARNING

    parts = _parts(ctx)
    said = parts.feedback.list(bundle=bundle, study=study, author=author)
    err.print(Text(WARNING, style="bold yellow"), soft_wrap=True)
    exported = export_feedback(parts, said, directory)
    out.print(Text(f"{len(exported.job_ids)} cases exported to {directory}"), soft_wrap=True)
    if exported.incomplete:
        err.print(
            Text(
                f"{exported.incomplete} cases lack an outline of some lesion that the node found; "
                "training takes it for healthy: see lesions_not_outlined in manifest.json"
            ),
            soft_wrap=True,
        )
    for uid, reason in exported.left_out.items():
        err.print(Text(f"left out {uid}: {reason}"), soft_wrap=True)
    if exported.left_out:
        raise typer.Exit(ExitCode.NOT_DELIVERED)


def _parts(ctx: typer.Context) -> "Parts":
    from node.bootstrap.parts import Parts

    settings = invocation_of(ctx).settings
    parts = Parts(settings=settings)
    if not parts.has_database:
        raise SetupFault(
            f"no ledger in {settings.node.data_dir}: has the node run with this configuration?"
        )
    return parts


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, default=_jsonable, ensure_ascii=False, indent=2))


def _jsonable(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
