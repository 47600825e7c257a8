"""A bundle is what its manifest says, or it is not loaded."""

import hashlib
from pathlib import Path

import pytest
import yaml

from node.domain.errors import SetupFault
from node.registry.bundle import load_bundle
from node.registry.store import ModelStore

MANIFEST = {
    "name": "brain-t1ce",
    "version": "0.1.0",
    "title": "t",
    "manufacturer": "m",
    "licence": "CC BY 4.0",
    "data": "d",
    "limitations": "l",
    "segmenter_name": "s",
    "classifier_name": "c",
    "anatomic_region": {"value": "12738006", "scheme": "SCT", "meaning": "Brain"},
    "finding_type": {"value": "108369006", "scheme": "SCT", "meaning": "Neoplasm"},
    "accepts": {"modality": ["MR"], "body_part": ["BRAIN"]},
    "input": {"spacing_mm": 1.0},
    "lesions": {"threshold": 0.5},
    "classifier": {
        "profile": "planar-102",
        "bin_width": 10.0,
        "spacing_mm": 1.0,
        "foreground_fraction": 0.08,
        "abstain_low": 0.4,
        "abstain_high": 0.6,
        "novelty_limit": 2.0,
        "types": ["glioma"],
    },
    "made_with": {"keras": "3"},
}


def write_bundle(root: Path, version: str = "0.1.0", **changes) -> Path:
    folder = root / "brain-t1ce" / version
    folder.mkdir(parents=True)
    (folder / "segmenter.keras").write_bytes(b"weights")
    files = {"segmenter.keras": hashlib.sha256(b"weights").hexdigest()}
    manifest = {**MANIFEST, "version": version, "files": files, **changes}
    (folder / "bundle.yaml").write_text(yaml.safe_dump(manifest))
    return folder


def test_a_whole_bundle_is_loaded_and_named(tmp_path):
    bundle = load_bundle(write_bundle(tmp_path))
    identity = bundle.identity
    assert (identity.name, identity.version) == ("brain-t1ce", "0.1.0")
    assert identity.anatomic_region.value == "12738006"
    assert identity.device_uid.startswith("2.25.")


def test_the_device_uid_changes_with_the_weights(tmp_path):
    first = load_bundle(write_bundle(tmp_path / "a"))
    folder = write_bundle(tmp_path / "b", files={})
    (folder / "segmenter.keras").unlink()
    assert load_bundle(folder).identity.device_uid != first.identity.device_uid


def test_changed_missing_and_unknown_files_are_all_told(tmp_path):
    folder = write_bundle(
        tmp_path, files={"segmenter.keras": "0" * 64, "classifier.skops": "1" * 64}
    )
    (folder / "extra.bin").touch()
    with pytest.raises(SetupFault) as fault:
        load_bundle(folder)
    for name in ("segmenter.keras", "classifier.skops", "extra.bin", "no such file"):
        assert name in str(fault.value)


def test_a_faulty_manifest_names_its_keys(tmp_path):
    folder = write_bundle(tmp_path, colour="blue", version="0.1.0", input="wrong")
    with pytest.raises(SetupFault) as fault:
        load_bundle(folder)
    assert "colour" in str(fault.value)
    assert "input" in str(fault.value)


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"limitations": "仅供研究"}, "limitations"),
        ({"manufacturer": "医院"}, "manufacturer"),
        ({"classifier": {**MANIFEST["classifier"], "types": ["胶质瘤"]}}, "classifier.types.0"),
        ({"finding_type": {**MANIFEST["finding_type"], "meaning": "肿瘤"}}, "finding_type.meaning"),
        ({"finding_type": {**MANIFEST["finding_type"], "meaning": " "}}, "finding_type.meaning"),
        ({"finding_type": {**MANIFEST["finding_type"], "scheme": ""}}, "finding_type.scheme"),
    ],
)
def test_texts_that_results_could_not_hold_are_refused(tmp_path, changes, key):
    with pytest.raises(SetupFault, match=key) as fault:
        load_bundle(write_bundle(tmp_path, **changes))
    assert "manifest-key" in str(fault.value)


def test_accents_have_a_plain_spelling(tmp_path):
    bundle = load_bundle(write_bundle(tmp_path, manufacturer="Université de Nîmes"))
    assert bundle.identity.manufacturer == "Université de Nîmes"


def test_the_newest_version_is_taken_by_number(tmp_path):
    for version in ("0.9.1", "0.10.0", "0.2.0"):
        write_bundle(tmp_path, version)
    store = ModelStore(tmp_path)
    assert store.list() == ["brain-t1ce/0.2.0", "brain-t1ce/0.9.1", "brain-t1ce/0.10.0"]
    assert store.get("brain-t1ce").manifest.version == "0.10.0"
    assert store.get("brain-t1ce/0.2.0").manifest.version == "0.2.0"


def test_an_unknown_name_tells_the_known_ones(tmp_path):
    write_bundle(tmp_path)
    with pytest.raises(SetupFault, match=r"lung.*brain-t1ce/0\.1\.0"):
        ModelStore(tmp_path).get("lung")
