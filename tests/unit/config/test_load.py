"""Settings from yaml: defaults, paths, environment, and every fault at once with its line."""

from pathlib import Path

import pytest

from node.config.files import find_config_dir
from node.config.load import load_settings
from node.domain.errors import SetupFault

PEERS = """\
peers:
  - name: pacs
    ae_title: ARCHIVE
    host: 127.0.0.1
    port: 4242
"""
ROUTING = """\
rules:
  - name: brain
    match:
      modality: [MR]
    bundle: brain-t1ce
    destinations: [pacs]
"""


def write_config(root: Path, *, node="", peers=PEERS, routing=ROUTING, bundles=True) -> Path:
    directory = root / "dicom_conf"
    directory.mkdir()
    for name, text in (("node", node), ("peers", peers), ("routing", routing)):
        if text is not None:
            (directory / f"{name}.yaml").write_text(text)
    if bundles:
        version = root / "models" / "brain-t1ce" / "1.0.0"
        version.mkdir(parents=True)
        (version / "bundle.yaml").write_text("")
    return directory


def load(root: Path, *, environment=None, **files):
    return load_settings(write_config(root, **files), environment=environment or {})


def faults(root: Path, *, environment=None, **files) -> list[tuple[str, str]]:
    """Return (code, file:line or variable) of each fault."""
    with pytest.raises(SetupFault) as caught:
        load(root, environment=environment, **files)
    return [(p.code, Path(p.tag).name) for p in caught.value.problems]


def test_empty_node_file_means_defaults(tmp_path):
    settings = load(tmp_path)
    assert settings.node.ae_title == "ONCONODE"
    assert settings.peer("pacs").port == 4242
    assert settings.routing[0].destinations == ("pacs",)


def test_section_whose_lines_are_comments_means_defaults(tmp_path):
    settings = load(tmp_path, node="receive:\n  # maximum_associations: 8\njobs:\n")
    assert settings.node.receive.maximum_associations == 32


def test_paths_are_relative_to_the_parent_of_the_directory(tmp_path):
    settings = load(tmp_path, node="data_dir: spool\n")
    assert settings.node.data_dir == tmp_path / "spool"
    assert settings.node.models_dir == tmp_path / "models"


def test_variables_win_over_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = load(
        tmp_path,
        node="port: 104\ndata_dir: spool\njobs:\n  workers: 2\n",
        environment={
            "ONCONODE_PORT": "11113",
            "ONCONODE_DATA_DIR": "elsewhere",
            "ONCONODE_SCHEDULER_ADDRESS": "tcp://10.0.0.1:8786",
        },
    )
    assert settings.node.port == 11113
    assert settings.node.data_dir == tmp_path / "elsewhere"
    assert settings.node.jobs.scheduler_address == "tcp://10.0.0.1:8786"
    assert settings.node.jobs.workers == 2


def test_bad_variable_is_named(tmp_path):
    assert faults(tmp_path, environment={"ONCONODE_PORT": "many"}) == [
        ("wrong-type", "ONCONODE_PORT")
    ]


def test_config_dir_from_argument_variable_or_clone(tmp_path):
    environment = {"ONCONODE_CONFIG": str(tmp_path)}
    assert find_config_dir(Path("x"), environment=environment) == Path("x")
    assert find_config_dir(environment=environment) == tmp_path
    assert (find_config_dir(environment={}) / "node.yaml").is_file()


def test_settings_are_frozen(tmp_path):
    settings = load(tmp_path)
    with pytest.raises(ValueError, match="frozen"):
        settings.node.port = 1


def test_version_of_a_bundle_may_be_named(tmp_path):
    routing = ROUTING.replace("brain-t1ce", "brain-t1ce/1.0.0")
    assert load(tmp_path, routing=routing).routing[0].bundle == "brain-t1ce/1.0.0"


def test_yaml_1_2_scalars(tmp_path):
    peers = PEERS.replace("ARCHIVE", "NO").replace("4242", "0104")
    peer = load(tmp_path, peers=peers).peer("pacs")
    assert (peer.ae_title, peer.port) == ("NO", 104)


NODE_FAULTS = {
    "unknown key": ("port: 104\nprot: 1\n", "unknown-key", 2),
    "unknown key in a section": ("jobs:\n  worker: 1\n", "unknown-key", 2),
    "unknown key without a value": ("prot:\n", "unknown-key", 1),
    "text for a number": ('port: "104"\n', "wrong-type", 1),
    "yes for true": ("accept_unknown_peers: yes\n", "wrong-type", 1),
    "number for a switch": ("log:\n  json_lines: 1\n", "wrong-type", 2),
    "port out of range": ("port: 65536\n", "bad-value", 1),
    "address that is none": ("bind_address: all\n", "bad-value", 1),
    "AE title of 17 characters": ("ae_title: ABCDEFGHIJKLMNOPQ\n", "bad-ae-title", 1),
    "AE title with backslash": ("ae_title: A\\B\n", "bad-ae-title", 1),
    "AE title of blanks": ('ae_title: "   "\n', "bad-ae-title", 1),
    "AE title not ASCII": ("ae_title: RÖNTGEN\n", "bad-ae-title", 1),
    "AE title a number": ("ae_title: 12345\n", "bad-ae-title", 1),
    "log level unknown": ("log:\n  level: LOUD\n", "bad-value", 2),
    "back-off upside down": (
        "deliver:\n  retry_backoff_s: 9\n  retry_backoff_maximum_s: 8\n",
        "bad-value",
        3,
    ),
    "duplicate key": ("port: 104\nport: 105\n", "duplicate-key", 2),
    "syntax": ("port: 104\njobs: [\n", "yaml-syntax", 3),
    "tab": ("jobs:\n\tworkers: 1\n", "yaml-syntax", 2),
    "two documents": ("port: 104\n---\nport: 105\n", "yaml-syntax", 2),
    "python tag": ("ae_title: !!python/name:os.system\n", "yaml-syntax", 1),
    "a list at the top": ("- port: 104\n", "wrong-type", 1),
    "alias of itself": ("jobs: &a\n  workers: *a\n", "yaml-syntax", 1),
}


@pytest.mark.parametrize("name", sorted(NODE_FAULTS))
def test_fault_in_node_yaml_is_told_with_its_line(tmp_path, name):
    text, code, line = NODE_FAULTS[name]
    assert (code, f"node.yaml:{line}") in faults(tmp_path, node=text)


def test_bytes_that_are_not_utf8(tmp_path):
    directory = write_config(tmp_path)
    (directory / "node.yaml").write_bytes(b"port: 104\nae_title: \xd6\n")
    with pytest.raises(SetupFault) as caught:
        load_settings(directory, environment={})
    assert [(p.code, Path(p.tag).name) for p in caught.value.problems] == [
        ("yaml-syntax", "node.yaml:2")
    ]


def test_misspelt_key_gets_the_right_one_offered(tmp_path):
    with pytest.raises(SetupFault) as caught:
        load(tmp_path, node="jobs:\n  worker: 1\n")
    assert caught.value.problems[0].remedy == "did you mean 'workers'?"


def test_password_in_a_bad_database_url_is_not_shown(tmp_path):
    with pytest.raises(SetupFault) as caught:
        load(tmp_path, node="database_url: oracle://user:hunter2@host/db\n")
    assert "hunter2" not in str(caught.value)


SECOND_PEER = """\
  - name: {name}
    ae_title: {ae_title}
    host: {host}
    port: {port}
"""
PEER_FAULTS = {
    "same name": ({"name": "pacs"}, "duplicate-peer", 6),
    "same AE title and host": ({"ae_title": "ARCHIVE"}, "peer-clash", 6),
    "the node's own port": ({"port": 11112}, "port-clash", 9),
    "the node's own port by name": ({"port": 11112, "host": "localhost"}, "port-clash", 9),
    "port zero": ({"port": 0}, "bad-value", 9),
    "host with a blank": ({"host": "a b"}, "bad-value", 8),
    "AE title too long": ({"ae_title": "A" * 17}, "bad-ae-title", 7),
}


@pytest.mark.parametrize("name", sorted(PEER_FAULTS))
def test_fault_in_peers_yaml(tmp_path, name):
    change, code, line = PEER_FAULTS[name]
    entry = {"name": "second", "ae_title": "SECOND", "host": "127.0.0.1", "port": 4243} | change
    found = faults(tmp_path, peers=PEERS + SECOND_PEER.format(**entry))
    assert found == [(code, f"peers.yaml:{line}")]


RECEIVER = "  - name: ris\n    port: 2575\n    hl7:\n      send: flagged\n"
RECEIVER_FAULTS = {
    "an AE title, too": ("    port: 2575\n", "    port: 2575\n    ae_title: RIS\n", "ae_title"),
    "a form of results": ("    port: 2575\n", "    port: 2575\n    results: [seg]\n", "results"),
    "no port": ("    port: 2575\n", "", "port"),
    "both": ("    hl7:", "    fhir: {url: 'http://h/r4'}\n    hl7:", "of its own"),
    "neither": ("    hl7:\n      send: flagged\n", "", "ae_title"),
    "FHIR with a port": ("hl7:\n      send: flagged", "fhir: {url: 'http://h/r4'}", "url"),
    "a delimiter": ("send: flagged", "receiving_application: 'A^B'", "text like"),
    "another policy": ("send: flagged", "send: some", "'all' or 'flagged'"),
}


@pytest.mark.parametrize("name", sorted(RECEIVER_FAULTS))
def test_fault_in_a_receiver_of_messages(tmp_path, name):
    old, new, words = RECEIVER_FAULTS[name]
    assert old in RECEIVER
    with pytest.raises(SetupFault) as caught:
        load(tmp_path, peers=PEERS + RECEIVER.replace(old, new))
    (problem,) = caught.value.problems
    assert words in problem.expected
    assert "peers.yaml:" in problem.tag


def test_a_receiver_of_messages_is_a_destination_and_no_archive(tmp_path):
    rules = ROUTING.replace("[pacs]", "[pacs, ris]")
    settings = load(tmp_path, peers=PEERS + RECEIVER, routing=rules)
    assert settings.peer("ris").takes_messages
    assert settings.peer("ris").address == "mllp://127.0.0.1:2575"
    (tmp_path / "asked").mkdir()
    asked = "assemble:\n  ask_peers: [pacs, ris]\n"
    found = faults(tmp_path / "asked", node=asked, peers=PEERS + RECEIVER)
    assert found == [("unknown-peer", "node.yaml:2")]


def test_peer_on_another_host_may_use_the_nodes_port(tmp_path):
    peers = PEERS.replace("127.0.0.1", "192.0.2.1").replace("4242", "11112")
    assert load(tmp_path, peers=peers).peer("pacs").port == 11112


RULE_FAULTS = {
    "unknown bundle": ("bundle: brain-t1ce", "bundle: brain-t1cx", "unknown-bundle", 5),
    "unknown version": ("bundle: brain-t1ce", "bundle: brain-t1ce/9", "unknown-bundle", 5),
    "bundle outside": ("bundle: brain-t1ce", "bundle: ../../etc", "bad-value", 5),
    "unknown destination": ("[pacs]", "[pacs, pac]", "unknown-destination", 6),
    "destination twice": ("[pacs]", "[pacs, pacs]", "duplicate-destination", 6),
    "no destination": ("[pacs]", "[]", "wrong-type", 6),
    "text for a list": ("[MR]", "MR", "wrong-type", 4),
    "no condition": ("modality: [MR]", "modality: []", "empty-match", 3),
    "sender's AE title": ("modality: [MR]", f"calling_ae: [{'A' * 17}]", "bad-ae-title", 4),
    "unknown condition": ("modality: [MR]", "modalities: [MR]", "unknown-key", 4),
    "missing key": ("    bundle: brain-t1ce\n", "", "missing-key", 2),
    "no rules": (ROUTING.removeprefix("rules:\n"), "", "no-rules", 1),
}


@pytest.mark.parametrize("name", sorted(RULE_FAULTS))
def test_fault_in_routing_yaml(tmp_path, name):
    old, new, code, line = RULE_FAULTS[name]
    assert old in ROUTING
    assert (code, f"routing.yaml:{line}") in faults(tmp_path, routing=ROUTING.replace(old, new))


def test_models_dir_without_bundles_is_told_once_and_at_its_own_line(tmp_path):
    found = faults(tmp_path, node="port: 104\nmodels_dir: nowhere\n", bundles=False)
    assert found == [("no-bundles", "node.yaml:2")]


def test_all_faults_of_all_files_come_together_in_order(tmp_path):
    found = faults(
        tmp_path,
        node="prot: 1\nae_title: A\\B\n",
        peers=PEERS.replace("4242", "many"),
        routing=ROUTING.replace("[MR]", "MR").replace("[pacs]", "[pac]"),
    )
    assert found == [
        ("unknown-key", "node.yaml:1"),
        ("bad-ae-title", "node.yaml:2"),
        ("wrong-type", "peers.yaml:5"),
        ("wrong-type", "routing.yaml:4"),
        ("unknown-destination", "routing.yaml:6"),
    ]


def test_unreadable_file_does_not_raise_false_alarms_in_the_others(tmp_path):
    assert faults(tmp_path, peers="peers: [\n") == [("yaml-syntax", "peers.yaml:2")]


def test_misnamed_and_missing_files(tmp_path):
    directory = write_config(tmp_path, node=None)
    (directory / "peer.yaml").write_text("")
    with pytest.raises(SetupFault) as caught:
        load_settings(directory, environment={})
    assert {p.code for p in caught.value.problems} == {"missing-file", "unknown-file"}


def test_missing_directory(tmp_path):
    with pytest.raises(SetupFault, match="no configuration directory"):
        load_settings(tmp_path / "nowhere", environment={})


def test_archives_that_are_asked_for_counts_are_peers(tmp_path):
    node = "assemble:\n  ask_peers: [pacs, pasc]\n"
    assert faults(tmp_path, node=node) == [("unknown-peer", "node.yaml:2")]


def test_somebody_may_send(tmp_path):
    node, routing = "accept_unknown_peers: false\n", ROUTING.replace("[pacs]", "[nobody]")
    assert faults(tmp_path, node=node, peers="", routing=routing) == [
        ("nobody-may-send", "node.yaml:1"),
        ("unknown-destination", "routing.yaml:6"),
    ]
