"""``onconode config apply``, ``history`` and ``rollback``."""

import difflib
import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from node.cli.exit_codes import ExitCode
from node.cli.invocation import invocation_of
from node.cli.screen import err, out, table

if TYPE_CHECKING:
    from node.bootstrap.configuring import Applied
    from node.config.changes import Change
    from node.config.versions import Version, VersionStore

WAIT_S = 20.0
LOOK_S = 0.1
SHORT = 12
_PASSWORD = re.compile(r"(://[^:@/\s]*:)[^@\s]+@")

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="DIR",
        help="Data directory of the node, where the files are too damaged to tell it.",
    ),
]


def apply(ctx: typer.Context) -> None:
    """Check the files and let a running node work by them; faulty files change nothing.

    Peers, rules and some keys of node.yaml are taken up at once; open associations and running
    jobs go on. What needs a restart of the node is named, and stays as it is until then. SIGHUP
    to `onconode serve` does the same. Without a running node, its next start applies the files.
    """
    from node.bootstrap.configuring import apply_files, version_store

    invocation = invocation_of(ctx)
    data_dir = invocation.settings.node.data_dir
    applied = apply_files(invocation.config_dir)
    if not applied.is_new:
        out.print(f"version {applied.version.number} is in effect already: nothing changed")
        _print_pending(applied)
        return
    _print_applied(applied)
    _wait_for_node(version_store(data_dir), data_dir / "run", applied.version.number)


def history(
    ctx: typer.Context,
    number: Annotated[
        int | None,
        typer.Argument(metavar="[N]", help="Show what going back to version N would change."),
    ] = None,
    data_dir: DataDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the configurations that were applied, the latest first."""
    from node.bootstrap.configuring import find_version_store

    config_dir = invocation_of(ctx).config_dir
    store = find_version_store(config_dir, data_dir)
    if number is not None:
        _print_difference(config_dir, _get(store, number))
        return
    current = store.current_number
    versions = store.list()[::-1]
    if as_json:
        told = [
            {
                "number": each.number,
                "at": each.at.isoformat(),
                "digest": each.digest,
                "reason": each.reason,
                "in_effect": each.number == current,
            }
            for each in versions
        ]
        typer.echo(json.dumps(told, indent=2, ensure_ascii=False))
        return
    if not versions:
        out.print(f"no configuration was applied yet in {store.folder}")
        return
    rows = table("version", "applied", "digest", "why", "")
    for each in versions:
        rows.add_row(
            str(each.number),
            each.at.astimezone().strftime("%Y-%m-%d %H:%M:%S"),
            each.digest[:SHORT],
            Text(each.reason),
            Text("in effect", style="green") if each.number == current else "",
        )
    out.print(rows)


def rollback(
    ctx: typer.Context,
    number: Annotated[
        int | None,
        typer.Argument(
            metavar="[N]",
            help="Version to go back to. Without it: the one in effect, where the files differ "
            "from it; else the one before it.",
        ),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Write the files of an earlier version back and let a running node work by them.

    Files that were never applied are kept as a version first, so that nothing is lost.
    """
    from node.bootstrap.configuring import find_version_store, roll_back

    config_dir = invocation_of(ctx).config_dir
    store = find_version_store(config_dir, data_dir)
    if number is not None:
        _get(store, number)
    applied = roll_back(config_dir, store, number)
    out.print(f"{config_dir}: the files of version {applied.version.number} are back")
    _print_applied(applied)
    _wait_for_node(store, store.folder.parent / "run", applied.version.number)


def _get(store: "VersionStore", number: int) -> "Version":
    try:
        return store.get(number)
    except KeyError:
        known = ", ".join(str(version.number) for version in store.list()) or "none"
        raise typer.BadParameter(f"no version {number}; there are: {known}") from None


def _print_applied(applied: "Applied") -> None:
    out.print(
        Text(
            f"version {applied.version.number} ({applied.version.digest[:SHORT]}) is in effect",
            style="green",
        )
    )
    _print_changes(applied.changes)
    _print_pending(applied)


def _print_changes(changes: "tuple[Change, ...]") -> None:
    for change in changes:
        out.print(Text(f"  {change.key}: {change.before} -> {change.after}"), soft_wrap=True)


def _print_pending(applied: "Applied") -> None:
    if applied.pending:
        out.print(Text("waits for a restart of the node:", style="yellow"))
        _print_changes(applied.pending)


def _wait_for_node(store: "VersionStore", run_dir: Path, number: int) -> None:
    """Wait until the processes of a running node have taken a version up; tell what they did."""
    from node.bootstrap.following import FOLLOWERS, read_taken
    from node.jobs.supervisor import is_held

    if not is_held(run_dir / "supervisor.lock"):
        out.print(f"no node runs on {run_dir.parent}: its next start applies the files")
        return
    deadline_s = time.monotonic() + WAIT_S
    waiting, is_refused = list(FOLLOWERS), False
    while waiting and time.monotonic() < deadline_s:
        for role in list(waiting):
            taken = read_taken(store, role)
            if taken is None or taken.number < number:
                continue
            waiting.remove(role)
            if taken.refused:
                is_refused = True
                err.print(Text(f"{role}: refused: {taken.refused}", style="bold red"))
            else:
                out.print(f"{role}: works by it now")
        time.sleep(LOOK_S)
    for role in waiting:
        err.print(Text(f"{role}: has not answered yet; it takes it up when it can", style="yellow"))
    out.print("workers: with their next job")
    if is_refused:
        raise typer.Exit(ExitCode.SETUP_FAULT)
    if waiting:
        raise typer.Exit(ExitCode.TRY_LATER)


def _print_difference(config_dir: Path, version: "Version") -> None:
    from node.config.versions import read_files

    now, then = read_files(config_dir), read_files(version.folder)
    is_same = True
    for name in sorted({*now, *then}):
        lines = difflib.unified_diff(
            _lines(now.get(name)), _lines(then.get(name)), f"{name} now", f"{name} then", n=1
        )
        for line in lines:
            is_same = False
            out.print(Text(line.rstrip("\n")), soft_wrap=True)
    if is_same:
        out.print(f"the files are those of version {version.number}")


def _lines(content: bytes | None) -> list[str]:
    """Text of a file, with passwords in URLs hidden."""
    text = (content or b"").decode("utf-8", "replace")
    return _PASSWORD.sub(r"\1***@", text).splitlines(keepends=True)
