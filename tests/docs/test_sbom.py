"""``make sbom`` lists every locked package with hashes, and licences where they are known."""

import importlib.metadata
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def bill(tmp_path_factory):
    try:
        importlib.metadata.version("cyclonedx-bom")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("cyclonedx-bom is not installed")
    place = tmp_path_factory.mktemp("sbom") / "build/sbom.cdx.json"
    script = ROOT / "requirements/sbom.py"
    subprocess.run([sys.executable, str(script), str(place)], check=True, timeout=120)
    return json.loads(place.read_text("utf-8"))


def locked() -> dict[str, str]:
    text = "".join(
        (ROOT / f"requirements/{name}.lock").read_text("utf-8")
        for name in ("postgresql", "runtime")
    )
    return dict(re.findall(r"^([A-Za-z0-9_.-]+)==([^\s;\\]+)", text, flags=re.MULTILINE))


def test_every_locked_package_is_listed_in_its_version_and_no_other(bill):
    assert bill["bomFormat"] == "CycloneDX"
    assert {each["name"]: each["version"] for each in bill["components"]} == locked()
    assert bill["metadata"]["component"]["name"] == "onconode"


def test_it_is_what_the_standard_asks_for(bill):
    """Judged on a few components of every kind of licence entry: all of them take long."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    components = bill["components"]
    named = [each for each in components if "name" in str(each.get("licenses", ""))][:3]
    some = {each["bom-ref"]: each for each in [*components[:3], *named]}
    known = {*some, bill["metadata"]["component"]["bom-ref"]}
    short = bill | {
        "components": list(some.values()),
        "dependencies": [
            {"ref": each["ref"]} for each in bill.get("dependencies", []) if each["ref"] in known
        ],
    }
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(short)) is None
    short["components"][0]["version"] = 1
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(short)) is not None


def test_every_component_has_hashes_and_an_address(bill):
    for component in bill["components"]:
        assert component["purl"].startswith("pkg:pypi/"), component["name"]
        hashes = [
            each for reference in component["externalReferences"] for each in reference["hashes"]
        ]
        assert hashes, component["name"]


def test_licences_are_known_of_what_is_installed(bill):
    known = [each["name"] for each in bill["components"] if each.get("licenses")]
    assert len(known) > 0.9 * len(bill["components"])


def test_make_has_the_target():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert "requirements/sbom.py build/sbom.cdx.json" in makefile
