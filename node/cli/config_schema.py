"""``onconode config schema``."""

from pathlib import Path
from typing import Annotated

import typer

from node.cli.screen import out


def schema(
    out_dir: Annotated[
        Path, typer.Option("--out", metavar="DIR", file_okay=False, help="Where to write them.")
    ],
) -> None:
    """Write JSON Schemas of node.yaml, peers.yaml and routing.yaml, for editors.

    A first line such as `# yaml-language-server: $schema=schema/node.schema.json` lets an editor
    complete keys, explain them and underline mistakes.
    """
    from node.config.schema import write_schemas

    for path in write_schemas(out_dir):
        out.print(str(path), soft_wrap=True)
