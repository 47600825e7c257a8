"""Secrets that a setting names by their file."""

from pathlib import Path

from node.domain.errors import SetupFault

MAXIMUM_BYTES = 64 << 10


def read_secret(path: str) -> str:
    """Return the text of a file without the end of its last line.

    Raises
    ------
    SetupFault
        If it cannot be read, is empty, or is too large to be a secret.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAXIMUM_BYTES + 1)
        secret = content.decode().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SetupFault(f"the secret in {path} cannot be read: {type(error).__name__}") from None
    if not secret or len(content) > MAXIMUM_BYTES:
        raise SetupFault(f"{path} is empty, or too large for a secret")
    return secret
