"""Write what the node is made of, as a CycloneDX bill of materials.

    .venv/bin/python requirements/sbom.py build/sbom.cdx.json

Components, versions and hashes are those of ``runtime.lock`` and ``postgresql.lock``, as the image
has them; the licences are those that the
installed packages declare, so it is run in the environment that ``make`` has made. What the
operating system brings (Python, the C library) is not in it.
"""

import json
import re
import subprocess
import sys
from importlib.metadata import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

LOCKS = Path(__file__).parent
ROOT = LOCKS.parent
SPECIFICATION = "1.6"


def main() -> None:
    """Write the file that the command line names."""
    place = Path(sys.argv[1])
    project = ["--pyproject", str(ROOT / "pyproject.toml")]
    with TemporaryDirectory() as folder:
        file = Path(folder) / "requirements.txt"
        file.write_text(read_locks("runtime", "postgresql"), "utf-8")
        locked = run("requirements", *project, str(file))
    installed = run("environment", *project, sys.executable)
    unknown = describe(locked, installed)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(locked, indent=1, sort_keys=True) + "\n", "utf-8")
    print(f"{place}: {len(locked['components'])} components")
    if unknown:
        print(f"without a licence: {', '.join(unknown)}")


def read_locks(*names: str) -> str:
    """Return the entries of lock files, each package once."""
    entries: dict[str, str] = {}
    for name in names:
        text = (LOCKS / f"{name}.lock").read_text("utf-8")
        for entry in re.split(r"^(?=\S)", text, flags=re.MULTILINE)[1:]:
            entries.setdefault(entry.partition("==")[0], entry)
    return "".join(entries.values())


def run(*arguments: str) -> dict[str, Any]:
    """Run cyclonedx-py and return what it writes."""
    command = [
        *(sys.executable, "-m", "cyclonedx_py", arguments[0]),
        *("--spec-version", SPECIFICATION, "--output-reproducible", "--no-validate"),
        *arguments[1:],
    ]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    bill: dict[str, Any] = json.loads(done.stdout)
    return bill


def describe(locked: dict[str, Any], installed: dict[str, Any]) -> list[str]:
    """Add licences and summaries of what is installed; return the components without a licence."""
    known = {identity(component): component for component in installed["components"]}
    for component in locked["components"]:
        component["description"] = ""
        found = known.get(identity(component), {})
        component.update({key: found[key] for key in ("licenses", "description") if found.get(key)})
        if found and not found.get("licenses"):
            component.update(declared_licence(component["name"]))
    return [each["name"] for each in locked["components"] if not each.get("licenses")]


def declared_licence(name: str) -> dict[str, Any]:
    """Return the licence of a package as its authors named it, where no identifier fits."""
    text = (metadata(name).get("License") or "").strip()
    return {"licenses": [{"license": {"name": text}}]} if text and "\n" not in text else {}


def identity(component: dict[str, Any]) -> tuple[str, str]:
    """Return normalised name (PEP 503) and version of a component."""
    return re.sub(r"[-_.]+", "-", component["name"]).lower(), component["version"]


if __name__ == "__main__":
    main()
