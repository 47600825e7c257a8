"""``onconode backup`` and ``onconode restore``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from node.cli.invocation import invocation_of
from node.cli.screen import err, facts, out

if TYPE_CHECKING:  # at run time it is imported late, as everything that opens a database
    from node.storage.archive import Manifest


def backup(
    ctx: typer.Context,
    place: Annotated[
        Path,
        typer.Argument(
            metavar="PLACE",
            help="New file, or a folder that gets one named after the node and the time.",
        ),
    ],
    *,
    spool: Annotated[
        bool,
        typer.Option(
            "--spool",
            help="Also what is not delivered yet: received objects and results. They hold "
            "patient data.",
        ),
    ] = False,
    models: Annotated[
        bool, typer.Option("--models/--no-models", help="The bundles in models_dir.")
    ] = True,
    database: Annotated[
        bool,
        typer.Option(
            "--database/--no-database",
            help="The ledger; --no-database where PostgreSQL is backed up in its own way.",
        ),
    ] = True,
) -> None:
    """Write database, configuration, models and audit trail to one file; the node may run.

    The file is whole when it gets its name, and readable for its owner only. It may hold
    passwords and keys that stand in the configuration.
    """
    from node.bootstrap.backing_up import back_up

    invocation = invocation_of(ctx)
    with err.status("writing the backup"):
        done = back_up(
            invocation.settings,
            invocation.config_dir,
            place,
            database=database,
            models=models,
            spool=spool,
        )
    for path in done.left_out:
        err.print(Text(f"left out, not there any more: {path}", style="yellow"), soft_wrap=True)
    if not database:
        err.print(
            Text("without the database: back it up as well, e.g. with pg_dump", style="yellow")
        )
    out.print(Text(f"{done.place}: {done.size_bytes / 1e6:.1f} MB"), soft_wrap=True)
    _print_manifest(done.manifest)


def restore(
    ctx: typer.Context,
    archive: Annotated[
        Path,
        typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="A backup."),
    ],
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Read all of it, say what it holds, change nothing.")
    ] = False,
    force: Annotated[
        bool,
        typer.Option("--force", help="Move what is in the way aside instead of giving up."),
    ] = False,
    keep_config: Annotated[
        bool, typer.Option("--keep-config", help="Leave the configuration that is there.")
    ] = False,
    keep_models: Annotated[
        bool, typer.Option("--keep-models", help="Leave the model bundles that are there.")
    ] = False,
) -> None:
    """Put a backup into its place; the node must be stopped.

    Everything is checked before anything is changed: every byte of the backup, that its database
    is not newer than this program, that no node runs there, and that the place is empty. What was
    delivered before the backup is not sent again; what was open goes on.
    """
    from node.bootstrap.restoring import check_backup, restore

    if check:
        manifest = check_backup(archive)
        out.print(Text(f"{archive}: whole, and can be restored", style="green"), soft_wrap=True)
        _print_manifest(manifest)
        return
    with err.status("restoring"):
        done = restore(
            archive,
            invocation_of(ctx).config_dir,
            force=force,
            config=not keep_config,
            models=not keep_models,
        )
    _print_manifest(done.manifest)
    rows = [("data", str(done.data_dir)), ("models", str(done.models_dir))]
    if done.moved_aside is not None:
        rows.append(("moved aside", str(done.moved_aside)))
    out.print(facts(rows), soft_wrap=True)
    for name in done.kept:
        told = (
            f"{done.data_dir / name} has a history of its own: it was kept, not that of the backup"
        )
        err.print(Text(told, style="yellow"), soft_wrap=True)
    if done.send_again:
        err.print(
            Text(
                "The backup holds no images of these studies, and their work was not finished; "
                "send them again:",
                style="yellow",
            ),
            soft_wrap=True,
        )
        for uid in done.send_again:
            out.print(f"send again {uid}", soft_wrap=True)
    out.print(Text("restored: onconode config check, then start the node", style="green"))


def _print_manifest(manifest: "Manifest") -> None:
    about = manifest.facts
    spool = "with" if about.get("spool") == "true" else "without"
    models = "with" if about.get("models") == "true" else "without"
    out.print(
        facts(
            [
                ("taken", f"{about.get('created_at', '?')} of {about.get('ae_title', '?')}"),
                ("by", f"onconode {manifest.software_version}"),
                ("database", f"{about.get('database', '?')}, schema {about.get('schema', '?')}"),
                ("files", f"{len(manifest.members)}, {models} models, {spool} open work"),
            ]
        ),
        soft_wrap=True,
    )
