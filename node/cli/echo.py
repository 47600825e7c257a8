"""``onconode echo``."""

from typing import Annotated

import typer
from rich.text import Text

from node.cli.invocation import invocation_of
from node.cli.peers import find_peer
from node.cli.screen import out
from node.domain.errors import SetupFault


def echo(
    ctx: typer.Context,
    ae: Annotated[
        str,
        typer.Argument(
            metavar="AE", help="Name or AE title of a peer in peers.yaml, or AE@HOST:PORT."
        ),
    ],
) -> None:
    """Ask a peer whether it is there (C-ECHO), with the node's own AE title.

    A RIS is only connected to; of a FHIR server the CapabilityStatement is read. Ends with code 4
    when it does not answer, with 5 when a FHIR server cannot take results.
    """
    settings = invocation_of(ctx).settings
    peer = find_peer(settings, ae)
    if peer.takes_messages:
        from node.deliver.greeting import greet

        found, obstacle = greet(peer, settings.node.deliver)
        out.print(Text(f"{peer.name} at {peer.address}: {found}"))
        if obstacle:
            raise SetupFault(f"{peer.name}: {obstacle}")
        return
    from node.deliver.c_echo import echo as send_echo

    seconds = send_echo(
        peer, calling_ae_title=settings.node.ae_title, settings=settings.node.deliver
    )
    out.print(
        Text(f"{peer.ae_title} at {peer.host}:{peer.port} answered in {seconds * 1000:.0f} ms")
    )
