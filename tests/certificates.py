"""A small certification authority, by the command line of openssl."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True, kw_only=True)
class Authority:
    """An authority with its files in a folder."""

    folder: Path
    name: str

    @property
    def ca(self) -> Path:
        """Its certificate."""
        return self.folder / f"{self.name}.pem"

    def issue(
        self, name: str, *, days: int = 90, host: str = "127.0.0.1", password: str = ""
    ) -> tuple[Path, Path]:
        """Make a key and a certificate for a host (an IP address); returns certificate and key."""
        certificate, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        request = self.folder / f"{name}.csr"
        secrecy = ("-passout", f"pass:{password}") if password else ("-nodes",)
        _openssl(
            "req", "-new", *_EC, *secrecy, "-subj", f"/O=Test/CN={name}",
            "-addext", f"subjectAltName=IP:{host}", "-keyout", key, "-out", request,
        )  # fmt: skip
        _openssl(
            "x509", "-req", "-in", request, "-CA", self.ca,
            "-CAkey", self.folder / f"{self.name}.key", "-CAcreateserial",
            "-copy_extensions", "copy", "-days", days, "-out", certificate,
        )  # fmt: skip
        return certificate, key


_EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")


def make_authority(folder: Path, name: str = "authority") -> Authority:
    """Make an authority; skips the test where openssl is not installed."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = Authority(folder=folder, name=name)
    _openssl(
        "req", "-x509", *_EC, "-nodes", "-days", 365, "-subj", f"/O=Test/CN={name}",
        "-keyout", folder / f"{name}.key", "-out", authority.ca,
    )  # fmt: skip
    return authority


def _openssl(*arguments: object) -> None:
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("openssl is not installed")
    subprocess.run(
        [program, *map(str, arguments)],
        check=True,
        capture_output=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )
