"""The documents say what the code does: every command, setting, code, room and dependency."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import typer
from command_lines import command_lines, fault_of

from node.cli.app import app
from node.cli.exit_codes import MEANING
from node.config.environment import CONFIG_VARIABLE, OVERRIDES
from node.config.load import load_settings
from node.config.settings import (
    Frozen,
    NodeSettings,
    PartChoice,
    Peer,
    RoutingRule,
    SequenceMatch,
    SeriesMatch,
)

ROOT = Path(__file__).parents[2]
NODE_README = (ROOT / "node/README.md").read_text("utf-8")
CONFIG_README = (ROOT / "dicom_conf/README.md").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")


def table_rows(text: str, heading: str) -> list[list[str]]:
    """Return the cells of the table rows below a heading or bold line, without its header."""
    below = text.split(heading, 1)[1]
    block = re.search(r"^\|.*?(?=\n\n|\Z)", below, flags=re.DOTALL | re.MULTILINE)
    assert block, heading
    rows = [line.strip("|").split("|") for line in block[0].splitlines()[2:]]
    return [[cell.strip().strip("`") for cell in row] for row in rows]


def commands(group: typer.Typer = app, prefix: str = "onconode") -> list[str]:
    names = [
        f"{prefix} {info.name or info.callback.__name__}" for info in group.registered_commands
    ]
    for info in group.registered_groups:
        callback = info.typer_instance.registered_callback
        if callback and callback.invoke_without_command is True:
            names.append(f"{prefix} {info.name}")
        names += commands(info.typer_instance, f"{prefix} {info.name}")
    return names


def sections(model: type[Frozen]) -> dict[str, type[Frozen]]:
    return {
        name: field.annotation
        for name, field in model.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, Frozen)
    }


def tracked_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False
    ).stdout
    if not listed:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.decode().split("\0") if name]


def test_every_command_is_documented_and_no_other():
    documented = [row[0] for row in table_rows(NODE_README, "## Commands")]
    assert sorted(documented) == sorted(commands())


def test_every_exit_code_is_documented_with_its_meaning():
    documented = table_rows(NODE_README, "## Exit codes")
    assert documented == [[str(int(c)), c.name, text] for c, text in MEANING.items()]


def test_rooms_are_those_of_the_code_and_stand_in_flow_order():
    walk = [
        re.sub(r"\W", "", row[0].split("]")[0]) for row in table_rows(NODE_README, "## The walk")
    ]
    around = [re.sub(r"\W", "", r[0].split("]")[0]) for r in table_rows(NODE_README, "## Around")]
    rooms = {p.name for p in (ROOT / "node").iterdir() if p.is_dir() and p.name != "__pycache__"}
    assert set(walk) | set(around) == rooms
    assert not set(walk) & set(around)
    # The one sequence that the code itself fixes: which room's type each stage makes.
    stages = ["volume", "segment", "radiomics", "classify", "compare", "report"]
    assert [room for room in walk if room in stages] == stages
    assert walk[0] == "receive"
    assert walk[-1] == "deliver"


def test_order_of_the_walk_is_that_of_the_pipelines_stages():
    source = (ROOT / "node/pipeline.py").read_text("utf-8")
    stages = re.search(r"^STAGES\b[^=]*= \((.*?)^\)", source, flags=re.DOTALL | re.MULTILINE)
    assert stages, "pipeline.py has no visible tuple STAGES"
    walk = [
        re.sub(r"\W", "", row[0].split("]")[0]) for row in table_rows(NODE_README, "## The walk")
    ]
    named = [room for room in re.findall(r'"(\w+)"', stages[1]) if room in walk]
    assert len(named) > 1
    assert named == sorted(named, key=walk.index)


@pytest.mark.parametrize(
    ("model", "heading"),
    [
        (NodeSettings, "## node.yaml"),
        (Peer, "## peers.yaml"),
        (RoutingRule, "## routing.yaml"),
        (SeriesMatch, "for one.\n"),
        (PartChoice, "highest value.\n"),
        (SequenceMatch, "what the node knows.\n"),
        *[(model, f"`{name}:`") for name, model in sections(NodeSettings).items()],
    ],
)
def test_every_setting_is_documented_and_no_other(model, heading):
    documented = [row[0] for row in table_rows(CONFIG_README, heading)]
    skipped = set(sections(model)) if model is NodeSettings else set()
    assert sorted(documented) == sorted(set(model.model_fields) - skipped)


@pytest.mark.parametrize(
    ("model", "heading"),
    [
        (NodeSettings, "## node.yaml"),
        (Peer, "## peers.yaml"),
        *[(model, f"`{name}:`") for name, model in sections(NodeSettings).items()],
    ],
)
def test_documented_defaults_are_the_codes(model, heading):
    for name, default, _ in table_rows(CONFIG_README, heading):
        field = model.model_fields[name]
        value = field.default
        if field.is_required():
            assert default == "required", name
        elif value in ("", None, ()):
            assert default == "empty", name
        elif isinstance(value, bool):
            assert default == str(value).lower(), name
        else:
            assert default == str(value), name


def test_every_variable_is_documented():
    documented = [row[0] for row in table_rows(CONFIG_README, "## Variables")]
    assert documented == [CONFIG_VARIABLE, *OVERRIDES]


def test_shipped_configuration_has_no_faults_and_is_the_defaults():
    settings = load_settings(ROOT / "dicom_conf", environment={})
    defaults = NodeSettings().model_copy(
        update={"data_dir": ROOT / "data", "models_dir": ROOT / "models"}
    )
    assert settings.node == defaults
    assert settings.routing[0].bundle == "brain-t1ce"


def test_make_targets_of_the_readme_exist():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    named = set(re.findall(r"make ([a-z]+)", README)) - {"git"}
    assert {"demo", "test"} <= named
    for target in sorted(named):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_links_of_the_readmes_lead_somewhere():
    for document in tracked_files():
        if document.suffix != ".md" or not document.is_file():
            continue
        for link in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", document.read_text("utf-8")):
            assert (document.parent / link).exists(), f"{document.relative_to(ROOT)}: {link}"


def test_every_dependency_has_its_reason():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    wanted = [*project["project"]["dependencies"]]
    for extra in project["project"]["optional-dependencies"].values():
        wanted += extra
    names = {re.split(r"[^A-Za-z0-9_.-]", entry)[0] for entry in wanted}
    record = (ROOT / "node/adr/003-dependencies.md").read_text("utf-8")
    assert {row[0] for row in table_rows(record, "## Decision")} == names
    for entry in project["dependency-groups"]["dev"] + project["dependency-groups"]["build"]:
        assert re.split(r"[^A-Za-z0-9_.-]", entry)[0] in record


def test_lock_files_hold_every_dependency_with_hashes():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    for lock, wanted in (
        ("runtime", project["project"]["dependencies"]),
        ("dev", project["project"]["dependencies"] + project["dependency-groups"]["dev"]),
        ("postgresql", project["project"]["optional-dependencies"]["postgres"]),
    ):
        text = (ROOT / f"requirements/{lock}.lock").read_text("utf-8")
        entries = re.split(r"^(?=\S)", text, flags=re.MULTILINE)[1:]
        assert all("--hash=sha256:" in entry for entry in entries)
        locked = {entry.partition("==")[0] for entry in entries}
        assert {re.split(r"[^A-Za-z0-9_.-]", entry)[0] for entry in wanted} <= locked


def test_locks_agree_on_versions():
    versions: dict[str, set[str]] = {}
    for lock in (ROOT / "requirements").glob("*.lock"):
        for name, version in re.findall(r"^(\S+)==(\S+)", lock.read_text("utf-8"), re.MULTILINE):
            versions.setdefault(name, set()).add(version)
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


# Written in parts, so that this file does not find itself.
REGISTRIES = (
    "pypi" + ".org",
    "python" + "hosted",
    "npmjs" + ".",
    "deb." + "debian",
    "registry." + "npm",
)
MACHINE_PATHS = ("/wor" + "k/", "/ro" + "ot/", "/hom" + "e/")


def test_no_registry_host_and_no_path_of_one_machine_in_tracked_files():
    found = []
    for path in tracked_files():
        if not path.is_file():
            continue
        content = path.read_bytes()
        if b"\0" in content[:4096]:
            continue
        text = content.decode("utf-8", "replace")
        found += [
            f"{path.relative_to(ROOT)}: {word}"
            for word in (*REGISTRIES, *MACHINE_PATHS)
            if word in text
        ]
    assert not found


@pytest.mark.parametrize(
    "path",
    [
        *(ROOT / each for each in ("README.md", "CHANGELOG.md")),
        *(ROOT / each / "README.md" for each in ("dicom_conf", "models", "node")),
        *sorted((ROOT / "node" / "adr").glob("*.md")),
    ],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_command_lines_exist(path):
    text = path.read_text("utf-8").replace("COMMAND", "serve")  # stands for any
    faults = [(words, fault_of(words)) for words in command_lines(text)]
    # a line may end within a command, and a group be named as such
    assert [each for each in faults if each[1] and "wants a command" not in each[1]] == []
