"""What stands in deploy/ is accepted by its judges, and names only what exists."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_lines import command_lines, fault_of
from tools import require_tool

from node import __version__
from node.cli.exit_codes import ExitCode
from node.config.environment import CONFIG_VARIABLE, OVERRIDES
from node.config.load import load_settings
from node.storage.archive import FORMAT_VERSION

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCKER, KUBERNETES, SYSTEMD = DEPLOY / "docker", DEPLOY / "kubernetes", DEPLOY / "systemd"
UNITS = ("onconode.service", "onconode-backup.service", "onconode-backup.timer")
WORST_EXPOSURE = 1.5
"""Of systemd-analyze security, 0 to 10; what is left is told in the unit."""
PROGRAM = "/opt/onconode/.venv/bin/onconode"
VARIABLES = {CONFIG_VARIABLE, *OVERRIDES}
STATEFULSET = KUBERNETES / "statefulset.yaml"
MANIFESTS = sorted(KUBERNETES.glob("*.yaml"))


def run(*command: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def documents(path: Path) -> list[dict[str, Any]]:
    return [each for each in yaml.safe_load_all(path.read_text("utf-8")) if each]


def objects(kind: str) -> list[dict[str, Any]]:
    found = [each for path in MANIFESTS for each in documents(path)]
    return [each for each in found if each["kind"] == kind]


def pod() -> dict[str, Any]:
    (statefulset,) = objects("StatefulSet")
    spec: dict[str, Any] = statefulset["spec"]["template"]["spec"]
    return spec


def compose() -> dict[str, Any]:
    value: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text("utf-8"))
    return value


def text_files() -> list[Path]:
    return [path for path in sorted(DEPLOY.rglob("*")) if path.is_file()]


# -- all of it ---------------------------------------------------------------------------------


@pytest.mark.parametrize("path", text_files(), ids=lambda path: str(path.relative_to(DEPLOY)))
def test_commands_and_variables_exist(path):
    text = path.read_text("utf-8")
    faults = [f"{words}: {fault}" for words in command_lines(text) if (fault := fault_of(words))]
    assert not faults
    named = set(re.findall(r"\bONCONODE_[A-Z_]+\b", text))
    assert named <= VARIABLES
    for target in re.findall(r"\bmake ([a-z]+)", text):
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)


def test_a_wrong_command_line_would_be_seen():
    text = "run `onconode backupp x`, `onconode backup --no x`\n  onconode jobs --limit 3\n"
    assert [bool(fault_of(words)) for words in command_lines(text)] == [True] * 3
    text = "ExecStart=/opt/onconode/.venv/bin/onconode serve\nsystemctl stop onconode now\n"
    assert list(command_lines(text)) == [["serve"]]
    assert not fault_of(["--config", "x", "jobs", "list", "--limit", "3"])
    assert not fault_of(["evaluate", "brain-t1ce"])


# -- image -------------------------------------------------------------------------------------

DOCKERFILE = (DOCKER / "Dockerfile").read_text("utf-8")


def test_hadolint_finds_nothing():
    done = run(require_tool("hadolint"), "--failure-threshold", "style", DOCKER / "Dockerfile")
    assert (done.returncode, done.stdout) == (0, "")


def test_image_runs_as_nobody_special_and_pins_what_it_installs():
    stages = DOCKERFILE.split("\nFROM ")[1:]
    assert len(stages) == 2
    user = re.findall(r"^USER (\S+)$", stages[-1], flags=re.MULTILINE)
    assert user == ["10001:10001"]
    assert "gcc" in stages[0]
    assert "gcc" not in stages[-1]
    assert (
        "requirements/install.py .venv runtime postgresql" in stages[0]
    )  # installs with --require-hashes
    install = (ROOT / "requirements/install.py").read_text("utf-8")
    assert "--require-hashes" in install


def test_image_copies_only_what_there_is_and_what_dockerignore_lets_through():
    let_through = [
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    ]
    copied = []
    for words in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, flags=re.MULTILINE):
        copied += words.split()[:-1]
    assert len(copied) > 5
    for source in copied:
        assert (ROOT / source).exists(), source
        assert any(source == each or source.startswith(f"{each}/") for each in let_through), source
    for each in let_through:
        assert (ROOT / each).exists(), each


def test_health_check_asks_where_the_shipped_configuration_answers(tmp_path):
    node = yaml.safe_load((DOCKER / "conf/node.yaml").read_text())
    assert f"127.0.0.1:{node['metrics']['port']}/health" in DOCKERFILE
    exposed = re.search(r"^EXPOSE (.+)$", DOCKERFILE, flags=re.MULTILINE)
    assert exposed
    assert {str(node["port"]), str(node["metrics"]["port"])} <= set(exposed[1].split())
    served = (ROOT / "node/bootstrap/http_service.py").read_text()
    for path in ("/health", "/ready", "/metrics"):
        assert f'"{path}"' in served


# -- compose -----------------------------------------------------------------------------------


def test_compose_is_read_and_wants_a_password(tmp_path):
    program = require_tool("docker-compose")
    example = (DOCKER / ".env.example").read_text()
    filled = tmp_path / "env"
    filled.write_text(re.sub(r"^ORTHANC_PASSWORD=$", "ORTHANC_PASSWORD=x", example, flags=re.M))
    call = (program, "-f", DOCKER / "compose.yaml", "--env-file")
    done = run(*call, filled, "config", "-q")
    assert done.returncode == 0, done.stderr
    missing = run(*call, DOCKER / ".env.example", "config", "-q")
    assert missing.returncode != 0
    assert "set it in .env" in missing.stderr


def test_compose_pins_images_publishes_nothing_by_default_and_knows_no_password():
    services = compose()["services"]
    assert set(services) == {"onconode", "orthanc", "ohif"}
    for name, service in services.items():
        tag = service["image"].rpartition(":")[2]
        assert re.search(r"\d", tag), name
        for port in service.get("ports", []):
            assert re.match(r"\$\{(DICOM|WEB)_ADDRESS:-127\.0\.0\.1\}:", port), port
        assert "privileged" not in service
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            known = (DOCKER / source).exists() if source.startswith(".") else source
            assert known is True or known in compose()["volumes"], volume
    assert services["onconode"]["image"] == f"onconode:{__version__}"
    assert services["onconode"]["read_only"] is True
    users = json.loads(services["orthanc"]["environment"]["ORTHANC__REGISTERED_USERS"])
    assert all(password.startswith("${ORTHANC_PASSWORD:?") for password in users.values())
    assert re.search(r"^ORTHANC_PASSWORD=$", (DOCKER / ".env.example").read_text(), flags=re.M)
    wanted = set(re.findall(r"\$\{([A-Z_]+)", (DOCKER / "compose.yaml").read_text()))
    given = set(re.findall(r"^([A-Z_]+)=", (DOCKER / ".env.example").read_text(), flags=re.M))
    assert wanted <= given


def test_configuration_of_compose_has_no_faults(tmp_path):
    home = tmp_path / "etc"
    home.mkdir()
    for volume in compose()["services"]["onconode"]["volumes"]:
        source, target, *_ = volume.split(":")
        if target.startswith("/etc/onconode/"):
            shutil.copy(DOCKER / source, home / Path(target).name)
    settings = load_settings(home, environment={"ONCONODE_MODELS_DIR": str(ROOT / "models")})
    orthanc = compose()["services"]["orthanc"]["environment"]
    modalities = json.loads(orthanc["ORTHANC__DICOM_MODALITIES"])
    assert modalities == {"onconode": [settings.node.ae_title, "onconode", settings.node.port]}
    assert settings.peers[0].host == "orthanc"
    assert settings.peers[0].ae_title == orthanc["ORTHANC__DICOM_AET"]
    assert "'/modalities/onconode/store'" in (DOCKER / "conf/route.lua").read_text()


# -- Kubernetes --------------------------------------------------------------------------------


def test_kubernetes_validate_finds_nothing():
    program = require_tool("kubernetes-validate")
    judged = [path for path in MANIFESTS if path.name != "kustomization.yaml"]
    done = run(program, "--strict", "--quiet", *judged)
    assert done.returncode == 0, done.stdout + done.stderr


def test_kustomization_names_every_manifest_but_the_template():
    (kustomization,) = objects("Kustomization")
    others = {path.name for path in MANIFESTS} - {"kustomization.yaml", "secret.example.yaml"}
    assert set(kustomization["resources"]) == others


def test_pod_meets_the_restricted_standard():
    """As the pod security standard of that name asks, and the namespace enforces."""
    (namespace,) = objects("Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    security = pod()["securityContext"]
    assert security["runAsNonRoot"] is True
    assert f"{security['runAsUser']}:{security['runAsGroup']}" in DOCKERFILE
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod()["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod())
    for container in pod()["containers"]:
        own = container["securityContext"]
        assert own["allowPrivilegeEscalation"] is False
        assert own["readOnlyRootFilesystem"] is True
        assert own["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]
        assert container["image"] == f"onconode:{__version__}"
    assert not any("hostPath" in volume for volume in pod()["volumes"])


def test_configmap_is_a_configuration_without_faults(tmp_path):
    (configmap,) = objects("ConfigMap")
    home = tmp_path / "etc"
    home.mkdir()
    for name, text in configmap["data"].items():
        (home / name).write_text(text)
    settings = load_settings(home, environment={"ONCONODE_MODELS_DIR": str(ROOT / "models")})
    (container,) = pod()["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"dicom": settings.node.port, "metrics": settings.node.metrics.port}
    (policy,) = objects("NetworkPolicy")
    let_in = {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]}
    assert let_in == set(ports.values())
    let_out = {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]}
    assert {peer.port for peer in settings.peers} <= let_out


def test_what_kubernetes_manifests_name_exists():
    (container,) = pod()["containers"]
    probes = [container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness")]
    assert [*probes, container["readinessProbe"]["httpGet"]["path"]] == [
        *("/health", "/health", "/ready")
    ]
    mounts = {mount["name"] for mount in container["volumeMounts"]}
    (statefulset,) = objects("StatefulSet")
    claims = {claim["metadata"]["name"] for claim in statefulset["spec"]["volumeClaimTemplates"]}
    assert mounts == claims | {volume["name"] for volume in pod()["volumes"]}
    assert {claim["metadata"]["name"] for claim in objects("PersistentVolumeClaim")} == {
        volume["persistentVolumeClaim"]["claimName"]
        for volume in pod()["volumes"]
        if "persistentVolumeClaim" in volume
    }
    (secret,) = objects("Secret")
    assert set(secret["stringData"]) <= VARIABLES
    assert statefulset["spec"]["replicas"] == 1
    for kind in ("Service", "NetworkPolicy"):
        for each in objects(kind):
            spec = each["spec"]
            selector = spec.get("selector") or spec["podSelector"]["matchLabels"]
            assert selector == statefulset["spec"]["template"]["metadata"]["labels"]


# -- systemd -----------------------------------------------------------------------------------


@pytest.fixture
def units(tmp_path):
    """The units with a program in them that is there."""
    program = tmp_path / "onconode"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for name in UNITS:
        text = (SYSTEMD / name).read_text().replace(PROGRAM, str(program))
        (tmp_path / name).write_text(text)
    return tmp_path


def test_systemd_analyze_verifies_the_units(units):
    program = require_tool("systemd-analyze")
    done = run(program, "verify", "--man=no", *(f"./{name}" for name in UNITS), cwd=units)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_fault_in_a_unit_would_be_seen(units):
    program = require_tool("systemd-analyze")
    unit = units / "onconode.service"
    unit.write_text(unit.read_text().replace("NoNewPrivileges=yes", "NoNewPrivilege=yes"))
    done = run(program, "verify", "--man=no", f"./{unit.name}", cwd=units)
    assert "NoNewPrivilege" in done.stderr


@pytest.mark.parametrize("name", ["onconode.service", "onconode-backup.service"])
def test_systemd_analyze_calls_the_services_safe(units, name):
    program = require_tool("systemd-analyze")
    done = run(
        *(program, "security", "--offline=true", "--no-pager"),
        *(f"--threshold={WORST_EXPOSURE * 10:.0f}", f"./{name}"),
        cwd=units,
    )
    assert done.returncode == 0, done.stdout[-300:] + done.stderr


@pytest.mark.parametrize("drop_in", ["port-104.conf", "limit-network.conf"])
def test_drop_ins_are_understood(units, drop_in):
    program = require_tool("systemd-analyze")
    unit = units / "onconode.service"
    unit.write_text(f"{unit.read_text()}\n{(SYSTEMD / drop_in).read_text()}")
    done = run(program, "verify", "--man=no", f"./{unit.name}", cwd=units)
    assert (done.returncode, done.stderr) == (0, "")


def setting(name: str, key: str) -> list[str]:
    text = (SYSTEMD / name).read_text()
    return re.findall(rf"^{key}=(.*)$", text, flags=re.MULTILINE)


def test_units_agree_with_node_and_with_each_other():
    for name in UNITS[:2]:
        assert setting(name, "User") == ["onconode"]
        assert setting(name, "CapabilityBoundingSet") == [""]
        commands = setting(name, "ExecStart")
        assert commands
        assert all(command.startswith(f"{PROGRAM} ") for command in commands)
    # systemd asks RestartPreventExitStatus of the main process only
    assert setting(UNITS[0], "ExecStartPre") == []
    assert f"Requires {setting('onconode-backup.service', 'ReadWritePaths')}".count("/var/") == 2
    not_again = {int(code) for code in setting(UNITS[0], "RestartPreventExitStatus")[0].split()}
    assert not_again == {ExitCode.USAGE, ExitCode.SETUP_FAULT}
    script = (SYSTEMD / "onconode.sh").read_text()
    for name in UNITS[:2]:
        for line in setting(name, "Environment"):
            for pair in line.split():
                if pair.startswith("ONCONODE_"):
                    assert f"export {pair}\n" in script, pair
    folders = (SYSTEMD / "onconode.tmpfiles").read_text()
    for place in ("/etc/onconode", "/var/lib/onconode", "/var/backups/onconode"):
        assert re.search(rf"^d {place} +07[05]0 onconode onconode", folders, flags=re.MULTILINE)
    assert re.search(r"^u onconode ", (SYSTEMD / "onconode.sysusers").read_text(), flags=re.M)


def test_shell_script_is_one(tmp_path):
    assert run("sh", "-n", SYSTEMD / "onconode.sh").returncode == 0


def test_versions_named_in_texts_are_the_projects():
    assert f"onconode:{__version__}" in DOCKERFILE
    assert FORMAT_VERSION == 1  # a change of it belongs into the changelog
