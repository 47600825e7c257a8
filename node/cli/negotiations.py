"""``onconode negotiations``: what a peer takes from the node, and when it changed its mind."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from node.cli.associations import open_records
from node.cli.invocation import invocation_of
from node.cli.peers import find_peer
from node.cli.screen import out, table

if TYPE_CHECKING:
    from node.storage.negotiations import Negotiated


def negotiations(
    ctx: typer.Context,
    peer: Annotated[str, typer.Argument(help="Name or AE title in peers.yaml.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON: every answer that differs from before.")
    ] = False,
) -> None:
    """Show which SOP classes and transfer syntaxes a peer accepted when the node called it.

    An answer counts until a later one differs: "since" is when it was given first. Changes of
    mind come below, the latest last.
    """
    from pydicom.uid import UID

    from node.storage.negotiations import NegotiationStore

    settings = invocation_of(ctx).settings
    name = find_peer(settings, peer).name
    store = NegotiationStore(open_records(settings))
    history = store.history(name)
    if as_json:
        told = [{**asdict(each.answer), "since": each.since} for each in history]
        typer.echo(json.dumps(told, default=str, indent=2))
        return
    if not history:
        out.print(f"{name} was not called so far; `onconode doctor {name}` does it")
        return
    rows = table("SOP class", "accepted", "refused", "since")
    for uid, of_class in groupby(store.latest(name), key=lambda each: each.answer.sop_class_uid):
        answers = list(of_class)
        rows.add_row(
            Text(UID(uid).name),
            Text(_syntaxes(answers, accepted=True)),
            Text(_syntaxes(answers, accepted=False), style="yellow"),
            _shown(max(each.since for each in answers)),
        )
    out.print(rows)
    known = set()
    for each in history:
        place = (each.answer.sop_class_uid, each.answer.transfer_syntax_uid)
        if place in known:
            verb = "accepts" if each.answer.accepted else "refuses"
            words = f"{_shown(each.since)}  {verb} {', '.join(UID(uid).name for uid in place)}"
            out.print(Text(words), soft_wrap=True)
        known.add(place)


def _syntaxes(answers: Sequence["Negotiated"], *, accepted: bool) -> str:
    from pydicom.uid import UID

    which = (each.answer for each in answers if each.answer.accepted is accepted)
    return ", ".join(UID(each.transfer_syntax_uid).name for each in which)


def _shown(at: datetime) -> str:
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
