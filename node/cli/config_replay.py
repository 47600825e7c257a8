"""``onconode config replay``."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from node.cli.invocation import Invocation, invocation_of
from node.cli.screen import out, table
from node.config.files import ROUTING_FILE
from node.config.load import load_settings

if TYPE_CHECKING:
    from node.bootstrap.replaying import Replayed
    from node.config.settings import RoutingRule, Settings

WOULD_CHANGE = 3

WORDS: Mapping[str, str] = {
    "taken": "newly taken",
    "dropped": "no longer taken",
    "rule": "by another rule",
    "bundle": "to another bundle",
    "destinations": "to other destinations",
    "series": "with other series",
}


def replay(
    ctx: typer.Context,
    rules: Annotated[
        Path | None,
        typer.Argument(
            metavar="[RULES]",
            exists=True,
            help="A changed routing.yaml, or a directory with one. Without it: the routing.yaml "
            "of the configuration, as it was edited.",
        ),
    ] = None,
    days: Annotated[int, typer.Option(min=1, help="Studies of so many days.")] = 90,
    limit: Annotated[int, typer.Option(min=1, help="Show at most so many studies.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with every study.")] = False,
) -> None:
    """Run the headers of past studies through changed rules and show what would change.

    Before is what is in effect in the node (without a node that ever started: the configuration
    as it stands); after is RULES. Nothing is sent, processed or changed.

    Ends with 0 when every study would go where it goes now, with 3 when one would not, and with 5
    when RULES has faults.
    """
    from node.bootstrap.parts import Parts
    from node.bootstrap.replaying import past_studies
    from node.bootstrap.replaying import replay as run
    from node.storage.clock import utc_now

    invocation = invocation_of(ctx)
    changed = rules / ROUTING_FILE if rules is not None and rules.is_dir() else rules
    after = load_settings(invocation.config_dir, routing_file=changed)
    before = _in_effect(invocation, after)
    parts = Parts(settings=after)
    if parts.has_database:
        studies = past_studies(parts, since=utc_now() - timedelta(days=days))
        replayed = list(run(studies, before, after.routing, parts))
        parts.engine.dispose()
    else:
        replayed = []  # and none is made: no node ever ran here
    different = [each for each in replayed if each.changed]
    if as_json:
        told = {
            "studies": len(replayed),
            "changed": len(different),
            "counts": _counts(different),
            "changes": [_as_json(each) for each in different],
        }
        typer.echo(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        _print(replayed, different, days=days, limit=limit)
    raise typer.Exit(WOULD_CHANGE if different else 0)


def _in_effect(invocation: Invocation, after: "Settings") -> "tuple[RoutingRule, ...]":
    from node.bootstrap.configuring import version_store

    current = version_store(after.node.data_dir).current
    if current is None:
        return load_settings(invocation.config_dir).routing
    return load_settings(current.folder, home=current.config_dir).routing


def _print(
    replayed: "Sequence[Replayed]", different: "Sequence[Replayed]", *, days: int, limit: int
) -> None:
    if different:
        rows = table("study", "assembled", "before", "after")
        for each in different[-limit:]:
            rows.add_row(
                each.study_instance_uid,
                each.assembled_at.astimezone().strftime("%Y-%m-%d %H:%M"),
                Text(str(each.before or "no rule")),
                Text(str(each.after or "no rule")),
            )
        out.print(rows)
    if len(different) > limit:
        out.print(f"... and {len(different) - limit} more: --limit, or --json for all")
    summary = f"{len(replayed)} studies of {days} days: {len(different)} would change"
    counts = ", ".join(f"{count} {WORDS[key]}" for key, count in _counts(different).items())
    out.print(Text(f"{summary}{f' ({counts})' if counts else ''}", style="bold"), soft_wrap=True)


def _counts(different: "Sequence[Replayed]") -> dict[str, int]:
    """How often each part of a route differs; one study may count several times."""
    counter = Counter(part for each in different for part in each.changed)
    return {key: counter[key] for key in WORDS if counter[key]}


def _as_json(each: "Replayed") -> dict[str, Any]:
    return {
        "study_instance_uid": each.study_instance_uid,
        "assembled_at": each.assembled_at.isoformat(),
        "changed": list(each.changed),
        "before": None if each.before is None else asdict(each.before),
        "after": None if each.after is None else asdict(each.after),
    }
