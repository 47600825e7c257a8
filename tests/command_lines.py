"""Command lines of ``onconode`` in texts, compared with the commands and options that exist."""

import re
from collections.abc import Iterator
from typing import Any

import typer

from node.cli.app import app

#: A call stands at the beginning of a line or of a piece of code, or after what starts a program.
CALL = re.compile(
    r"(?:^[ \t]*|`|/bin/|\bexec (?:onconode )?|(?<= )-- )onconode"
    r"((?: +(?![|&;#>\\\"]|\d*>)[^\s`]+)+)",
    re.MULTILINE,
)


def command_lines(text: str) -> Iterator[list[str]]:
    """Yield the words after ``onconode`` of every call in a text."""
    for found in CALL.finditer(text):
        words = [word.rstrip(".,;:)\"'") for word in found[1].split()]
        yield [word for word in words if word]


def fault_of(words: list[str]) -> str:
    """Return what is wrong with a command line, empty when all of it exists."""
    command: Any = typer.main.get_command(app)
    words = list(words)
    while words:
        word = words.pop(0)
        if word.startswith("-"):
            name = word.partition("=")[0]
            options = {opt: p for p in command.params for opt in (*p.opts, *p.secondary_opts)}
            if name in ("--help", "-h"):
                continue
            if name not in options:
                return f"no option {name} of {command.name}"
            option = options[name]
            if not getattr(option, "is_flag", False) and words:
                words.pop(0)
        elif hasattr(command, "commands"):
            inner = command.commands.get(word)
            if inner is None and not command.invoke_without_command:
                return f"no command {word!r} of {command.name}"
            command = inner or command
    if hasattr(command, "commands") and not command.invoke_without_command:
        return f"{command.name} wants a command"
    return ""
