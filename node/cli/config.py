"""``onconode config check``."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Any

import typer
from rich.text import Text

from node.cli import config_replay, config_schema, config_versions
from node.cli.exit_codes import ExitCode
from node.cli.invocation import Invocation, invocation_of
from node.cli.screen import err, facts, out, print_problems, table
from node.config.advice import list_warnings
from node.config.settings import Settings
from node.domain.errors import Problem, SetupFault, TryLater

app = typer.Typer(
    no_args_is_help=True, help="Check the configuration, try changes, apply them, take them back."
)


@app.callback()
def config() -> None:
    """Check the configuration, try changes, apply them, take them back."""


@app.command()
def check(
    ctx: typer.Context,
    show: Annotated[
        bool, typer.Option("--show", help="Print every setting as it is in effect.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="End with code 5 when there are warnings, too.")
    ] = False,
    days: Annotated[
        int, typer.Option(min=0, help="Note rules that matched nothing for so long; 0: do not.")
    ] = 14,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print faults, warnings and notes as JSON.")
    ] = False,
) -> None:
    """Read node.yaml, peers.yaml and routing.yaml and tell every fault with file and line.

    Faults end with code 5: the node would not start. Warnings are allowed and probably mistakes:
    rules that can never win, AE titles or addresses that two peers share. Notes tell rules for
    which the ledger has no job of late. Nothing is started or written.
    """
    invocation = invocation_of(ctx)
    try:
        settings = invocation.settings
    except SetupFault as fault:
        if as_json and fault.problems:
            _print_json(faults=fault.problems)
            raise typer.Exit(ExitCode.SETUP_FAULT) from None
        raise
    warnings = list_warnings(settings, invocation.config_dir)
    notes = _note_unused(settings, days=days) if days else []
    if as_json:
        _print_json(warnings=warnings, notes=notes)
    else:
        _print_summary(invocation, warnings, notes)
        if show:
            _print_settings(settings)
    raise typer.Exit(ExitCode.SETUP_FAULT if strict and warnings else ExitCode.OK)


def _note_unused(settings: Settings, *, days: int) -> list[str]:
    """Say which rules made no job of late, as far as there is a ledger."""
    from node.storage.clock import utc_now
    from node.storage.database import open_as_it_is, sqlite_url
    from node.storage.rule_use import count_rule_use

    url = settings.node.database_url or sqlite_url(settings.node.data_dir)
    try:
        engine = open_as_it_is(url)
        use = count_rule_use(engine, since=utc_now() - timedelta(days=days))
        engine.dispose()
    except TryLater as later:
        return [f"rules that matched nothing are not known: {later}"]
    used = {rule: each for rule, each in use.items() if rule}
    if not used:
        return [f"no study was routed in the last {days} days"]
    total = sum(each.jobs for each in used.values())
    return [
        f"rule {rule.name} matched nothing in the last {days} days (other rules: {total} jobs)"
        for rule in settings.routing
        if rule.name not in used
    ]


def _print_json(
    *,
    faults: Sequence[Problem] = (),
    warnings: Sequence[Problem] = (),
    notes: Sequence[str] = (),
) -> None:
    told: Mapping[str, Any] = {
        "faults": [asdict(problem) for problem in faults],
        "warnings": [asdict(problem) for problem in warnings],
        "notes": list(notes),
    }
    typer.echo(json.dumps(told, indent=2, ensure_ascii=False))


def _print_summary(
    invocation: Invocation, warnings: Sequence[Problem], notes: Sequence[str]
) -> None:
    settings = invocation.settings
    node = settings.node
    out.print(Text(f"{invocation.config_dir}: no faults", style="green"))
    out.print(
        facts(
            [
                ("node", f"{node.ae_title} on {node.bind_address}:{node.port}"),
                ("data", str(node.data_dir)),
                ("models", str(node.models_dir)),
                ("database", _show_database(node.database_url)),
            ]
        )
    )
    peers = table("peer", "AE title", "address")
    for peer in settings.peers:
        peers.add_row(Text(peer.name), Text(peer.ae_title), Text(peer.address))
    rules = table("rule", "bundle", "destinations")
    for rule in settings.routing:
        rules.add_row(Text(rule.name), Text(rule.bundle), Text(", ".join(rule.destinations)))
    out.print(peers, rules, sep="\n")
    for note in notes:
        out.print(Text(f"note: {note}", style="dim"), soft_wrap=True)
    if warnings:
        count = f"{len(warnings)} warning{'s' if len(warnings) > 1 else ''}"
        err.print(Text(f"{count}; the node starts all the same", style="bold yellow"))
        print_problems(warnings)


def _print_settings(settings: Settings) -> None:
    import yaml

    values = settings.model_dump(mode="json")
    values["node"]["database_url"] = _show_database(settings.node.database_url)
    out.print(Text(yaml.safe_dump(values, sort_keys=False, allow_unicode=True)), soft_wrap=True)


def _show_database(url: str) -> str:
    """Return the URL with its password hidden."""
    if not url:
        return "SQLite in the data directory"
    from sqlalchemy import make_url

    return make_url(url).render_as_string(hide_password=True)


app.command("replay")(config_replay.replay)
app.command("apply")(config_versions.apply)
app.command("history")(config_versions.history)
app.command("rollback")(config_versions.rollback)
app.command("schema")(config_schema.schema)
