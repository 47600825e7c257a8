"""What the global options of one invocation say."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import typer

from node.config.files import find_config_dir
from node.config.load import load_settings
from node.config.settings import Settings


@dataclass(kw_only=True)
class Invocation:
    """The global options, and the settings that they lead to.

    Parameters
    ----------
    given_config_dir : Path or None
        ``--config``; None when it was not given.
    """

    given_config_dir: Path | None

    @property
    def config_dir(self) -> Path:
        """Directory of the yaml files."""
        return find_config_dir(self.given_config_dir)

    @cached_property
    def settings(self) -> Settings:
        """Settings, read when first asked for; raises SetupFault."""
        return load_settings(self.given_config_dir)


def invocation_of(ctx: typer.Context) -> Invocation:
    """Return the invocation that the top-level callback made."""
    invocation = ctx.find_root().obj
    assert isinstance(invocation, Invocation)
    return invocation
