"""A configuration directory with the shipped bundles, for tests that change it."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

PACS = "  - {name: pacs, ae_title: ARCHIVE, host: 127.0.0.1, port: 4242}\n"
RULE = "  - {name: mr, match: {modality: [MR]}, bundle: brain-t1ce, destinations: [pacs]}\n"


def write_config(folder: Path, *, node: str = "", peers: str = PACS, rules: str = RULE) -> Path:
    """Write node.yaml (with ``node`` added), peers.yaml and routing.yaml to ``folder/conf``."""
    directory = folder / "conf"
    directory.mkdir(exist_ok=True)
    own = f"data_dir: data\nmodels_dir: {ROOT / 'models'}\n"
    (directory / "node.yaml").write_text(own + node)
    (directory / "peers.yaml").write_text("peers:\n" + peers)
    (directory / "routing.yaml").write_text("rules:\n" + rules)
    return directory
