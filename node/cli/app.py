"""The command tree, the global options, and the one place where errors become exit codes."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from node import __version__
from node.cli import (
    associations,
    audit,
    backup,
    config,
    conformance,
    demo,
    doctor,
    echo,
    emulate,
    evaluate,
    evaluate_reproducibility,
    feedback,
    find,
    jobs,
    models,
    negotiations,
    process,
    send,
    serve,
    train,
    train_samples,
    users,
)
from node.cli.exit_codes import MEANING, ExitCode, exit_code_of
from node.cli.invocation import Invocation
from node.cli.screen import err, print_error
from node.domain.errors import OncoNodeError

NODE = "Run the node"
OFFLINE = "Without a running node"
CARE = "Look after it"
MODELS = "Models"

EXIT_CODES = "\n\n".join(
    ["[bold]Exit codes[/bold]", *(f"{code:>3}  {text}" for code, text in MEANING.items())]
)

app = typer.Typer(
    name="onconode",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=EXIT_CODES,
)

app.command("serve", rich_help_panel=NODE)(serve.serve)
app.command("demo", rich_help_panel=NODE)(demo.demo)
app.command("process", rich_help_panel=OFFLINE)(process.process)
app.command("send", rich_help_panel=OFFLINE)(send.send)
app.command("echo", rich_help_panel=OFFLINE)(echo.echo)
app.command("find", rich_help_panel=OFFLINE)(find.find)
app.command("fetch", rich_help_panel=OFFLINE)(find.fetch)
app.command("emulate", rich_help_panel=OFFLINE)(emulate.emulate)
app.command("associations", rich_help_panel=CARE)(associations.associations)
app.command("negotiations", rich_help_panel=CARE)(negotiations.negotiations)
app.command("doctor", rich_help_panel=CARE)(doctor.doctor)
app.add_typer(jobs.app, name="jobs", rich_help_panel=CARE)
app.add_typer(feedback.app, name="feedback", rich_help_panel=CARE)
app.add_typer(config.app, name="config", rich_help_panel=CARE)
app.command("conformance", rich_help_panel=CARE)(conformance.conformance)
app.add_typer(audit.app, name="audit", rich_help_panel=CARE)
app.add_typer(users.app, name="users", rich_help_panel=CARE)
app.command("backup", rich_help_panel=CARE)(backup.backup)
app.command("restore", rich_help_panel=CARE)(backup.restore)
app.add_typer(models.app, name="models", rich_help_panel=MODELS)
app.add_typer(train.app, name="train", rich_help_panel=MODELS)
train.app.command("samples")(train_samples.samples)
app.add_typer(evaluate.app, name="evaluate", rich_help_panel=MODELS)
evaluate.app.command("reproducibility")(evaluate_reproducibility.reproducibility)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"onconode {__version__}")
        raise typer.Exit


@app.callback()
def onconode(
    ctx: typer.Context,
    config_dir: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="DIR",
            file_okay=False,
            help="Directory of node.yaml, peers.yaml and routing.yaml. Without it: the variable "
            "ONCONODE_CONFIG, else dicom_conf/ of the clone or of the working directory.",
        ),
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Print the node's own log messages.")
    ] = False,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and stop."
        ),
    ] = False,
) -> None:
    """A DICOM node for tumour analysis: CT and MR studies in, DICOM SEG and SR out.

    Studies arrive by C-STORE; a model bundle segments, measures and classifies the lesions; the
    results go to the archive. Research use only: not for diagnosis.

    [bold]First steps[/bold]

      onconode demo             see the whole chain once

      onconode config check     check dicom_conf/ after you changed it

      onconode serve            run the node
    """
    from node.config.settings import LogSettings
    from node.telemetry.log import configure_logging

    level = LogSettings(level="DEBUG" if verbose else "WARNING", json_lines=False)
    configure_logging(level, process="cli")
    ctx.obj = Invocation(given_config_dir=config_dir)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run ``onconode`` and exit with a documented code.

    Parameters
    ----------
    arguments : sequence of str, optional
        Instead of the process's own.
    """
    try:
        app(args=None if arguments is None else list(arguments), prog_name="onconode")
    except OncoNodeError as error:
        print_error(error)
        sys.exit(exit_code_of(error))
    except KeyboardInterrupt as error:
        err.print("stopped")
        sys.exit(exit_code_of(error))
    except Exception as error:  # noqa: BLE001 - process boundary: a bug becomes a message and a code
        _print_bug(error)
        sys.exit(ExitCode.BUG)


def _print_bug(error: Exception) -> None:
    """Print where it broke; no local variables, as they may hold patient text."""
    import traceback

    lines = traceback.format_exception(error)
    err.print("".join(lines), markup=False, soft_wrap=True)
    err.print("This is a bug in onconode. Please report it with the lines above.", style="bold red")
