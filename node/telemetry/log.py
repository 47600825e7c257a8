"""Structured logs on standard error, and in files that never grow beyond a bound.

JSON lines are for machines, aligned text is for people.

Standard library loggers (pynetdicom, SQLAlchemy, Dask ...) are bridged into the same stream.
"""

import logging
import logging.handlers
import os
import sys
import warnings
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any, TextIO

import structlog

from node.config.settings import LogSettings
from node.durable import make_private_folder
from node.telemetry.withhold import (
    describe_error,
    describe_warning,
    print_error,
    withhold_patient_text,
)

QUIET: Mapping[str, int] = {
    "absl": logging.ERROR,
    "alembic": logging.WARNING,
    "apscheduler": logging.WARNING,
    "distributed": logging.WARNING,
    "matplotlib": logging.WARNING,
    "pydicom": logging.ERROR,
    "pynetdicom": logging.WARNING,
    "radiomics": logging.ERROR,
    "sqlalchemy": logging.WARNING,
    "tensorflow": logging.ERROR,
    "tornado": logging.ERROR,
}
"""Least level of libraries, whatever the operator sets.

pynetdicom and pydicom write whole data sets at debug level, SQLAlchemy the values of statements.
"""

LIBRARY_ENVIRONMENT: Mapping[str, str] = {
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "DASK_LOGGING__DISTRIBUTED": "warning",
}
"""Read by libraries when they are imported; what the operator has set already stays."""


OWN_LOGGERS = ("node", "__main__")


MEGABYTE = 1 << 20
PRIVATE_FILE_MASK = 0o077


def configure_logging(
    settings: LogSettings,
    *,
    process: str,
    stream: TextIO | None = None,
    folder: Path | None = None,
) -> None:
    """Set up structlog and the standard library's logging for this process.

    Call it once, before TensorFlow or Dask are imported; a second call replaces the first.

    Parameters
    ----------
    settings : LogSettings
        Level of the node's own loggers, and JSON or text.
    process : str
        Name that every line carries, e.g. ``"listener"``.
    stream : text file, optional
        Standard error if not given.
    folder : Path, optional
        Where ``<process>.log`` and its predecessors go; none, or ``files: 0``: no files. Only one
        process may have a name at a time.
    """
    for variable, value in LIBRARY_ENVIRONMENT.items():
        os.environ.setdefault(variable, value)
    stream = stream or sys.stderr
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _name_process(process),
        withhold_patient_text,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handlers: list[logging.Handler] = [logging.StreamHandler(stream)]
    if folder is not None and settings.files > 0:
        handlers.append(_open_file(folder, process, settings))
    for handler in handlers:
        is_screen = isinstance(handler, logging.StreamHandler) and handler.stream is stream
        handler.setFormatter(
            structlog.stdlib.ProcessorFormatter(
                foreign_pre_chain=shared,
                processors=[
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    *_render(settings, colors=is_screen and stream.isatty()),
                ],
            )
        )
    _set_levels(handlers, settings.level)
    warnings.showwarning = _show_warning


def change_level(level: str) -> None:
    """Change the least level of the node's own messages while it runs."""
    for name in OWN_LOGGERS:
        logging.getLogger(name).setLevel(level)


def _render(settings: LogSettings, *, colors: bool) -> list[structlog.typing.Processor]:
    if settings.json_lines:
        return [
            structlog.processors.ExceptionRenderer(describe_error),
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ]
    return [structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=print_error)]


def _open_file(folder: Path, process: str, settings: LogSettings) -> logging.Handler:
    make_private_folder(folder)
    return _PrivateFile(
        folder / f"{process}.log",
        maxBytes=settings.file_mb * MEGABYTE,
        backupCount=settings.files,
        encoding="utf-8",
        delay=True,
    )


class _PrivateFile(logging.handlers.RotatingFileHandler):
    """A log file for its owner only: UIDs in it lead to patients."""

    def _open(self) -> Any:
        before = os.umask(PRIVATE_FILE_MASK)
        try:
            return super()._open()
        finally:
            os.umask(before)


def _set_levels(handlers: list[logging.Handler], level: str) -> None:
    root = logging.getLogger()
    for handler in root.handlers:
        if isinstance(handler, _PrivateFile):
            handler.close()
    root.handlers[:] = handlers
    root.setLevel(logging.WARNING)
    change_level(level)
    for name, least in QUIET.items():
        library = logging.getLogger(name)
        library.setLevel(least)
        library.handlers[:] = []
        library.propagate = True


def _name_process(process: str) -> structlog.typing.Processor:
    pid = os.getpid()

    def add(
        _logger: Any, _method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        event["process"] = process
        event["pid"] = pid
        return event

    return add


def _show_warning(  # noqa: PLR0917 - the signature of warnings.showwarning
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,  # noqa: ARG001 - as above
    line: str | None = None,  # noqa: ARG001 - as above
) -> None:
    text = describe_warning(category, str(message), filename, lineno)
    logging.getLogger("py.warnings").warning(text)
