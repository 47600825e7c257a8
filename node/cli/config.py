"""``onconode config check``."""

from typing import Annotated

import typer
from rich.text import Text

from node.cli.invocation import invocation_of
from node.cli.screen import facts, out, table

app = typer.Typer(no_args_is_help=True, help="Check the configuration.")


@app.callback()
def config() -> None:
    """Check the configuration."""


@app.command()
def check(
    ctx: typer.Context,
    show: Annotated[
        bool, typer.Option("--show", help="Print every setting as it is in effect.")
    ] = False,
) -> None:
    """Read node.yaml, peers.yaml and routing.yaml and tell every fault with file and line.

    Ends with code 5 when there is any. Nothing is started or written.
    """
    invocation = invocation_of(ctx)
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
        peers.add_row(Text(peer.name), Text(peer.ae_title), Text(f"{peer.host}:{peer.port}"))
    rules = table("rule", "bundle", "destinations")
    for rule in settings.routing:
        rules.add_row(Text(rule.name), Text(rule.bundle), Text(", ".join(rule.destinations)))
    out.print(peers, rules, sep="\n")
    if show:
        import yaml

        values = settings.model_dump(mode="json")
        values["node"]["database_url"] = _show_database(node.database_url)
        out.print(Text(yaml.safe_dump(values, sort_keys=False, allow_unicode=True)), soft_wrap=True)


def _show_database(url: str) -> str:
    """Return the URL with its password hidden."""
    if not url:
        return "SQLite in the data directory"
    from sqlalchemy import make_url

    return make_url(url).render_as_string(hide_password=True)
