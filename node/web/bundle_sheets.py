"""The bundles of a node as people read of them: card, plots, and where they are active."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

from node.config.settings import RoutingRule
from node.domain.errors import SetupFault
from node.registry.manifest import Manifest
from node.registry.store import ModelStore

CARD = "MODEL_CARD.md"
REPORT = "report.html"
PLOT_TITLES = {
    "projection": "Training lesions by PCA and t-SNE",
    "reliability": "Calibration on training patients",
    "importance": "Features that count",
    "convergence": "Convergence of the genetic search",
}


@dataclass(frozen=True, kw_only=True)
class BundleSheet:
    """A bundle in short.

    Parameters
    ----------
    name, version : str
    manifest : Manifest or None
        None where it cannot be read.
    fault : str
        Why not.
    rules : tuple of RoutingRule
        That use this version now.
    """

    name: str
    version: str
    manifest: Manifest | None
    fault: str
    rules: tuple[RoutingRule, ...]


@dataclass(frozen=True, kw_only=True)
class BundleDetails:
    """What else a bundle tells of itself.

    Parameters
    ----------
    card : str
        HTML of its model card with the figures on test patients, without anything that runs.
    plots : tuple of (str, str)
        Title and file name of those that the card does not show.
    has_report : bool
    """

    card: str
    plots: tuple[tuple[str, str], ...]
    has_report: bool


def list_bundles(models: ModelStore, rules: Sequence[RoutingRule]) -> tuple[BundleSheet, ...]:
    """Return every bundle with the rules that use it; a rule without version uses the newest."""
    entries = models.list()
    newest = {entry.split("/")[0]: entry for entry in entries}
    sheets = []
    for entry in entries:
        name, _, version = entry.partition("/")
        used = tuple(rule for rule in rules if newest.get(rule.bundle, rule.bundle) == entry)
        try:
            manifest, fault = models.manifest(entry), ""
        except SetupFault as problem:
            manifest, fault = None, str(problem)
        sheets.append(
            BundleSheet(name=name, version=version, manifest=manifest, fault=fault, rules=used)
        )
    return tuple(sheets)


def read_details(folder: Path) -> BundleDetails:
    """Read card and plots of a bundle; what is missing is left out."""
    card = render_card(folder / CARD)
    plots = [path for path in sorted(folder.glob("plots/*.png")) if path.name not in card]
    order = list(PLOT_TITLES)
    plots.sort(key=lambda path: order.index(path.stem) if path.stem in order else len(order))
    return BundleDetails(
        card=card,
        plots=tuple((PLOT_TITLES.get(path.stem, path.stem), path.name) for path in plots),
        has_report=(folder / REPORT).is_file(),
    )


def render_card(path: Path) -> str:
    """Return a model card as HTML; tags in it become text, and links that run are left out."""
    if not path.is_file():
        return ""
    renderer = MarkdownIt("commonmark", {"html": False}).enable("table")
    return str(renderer.render(path.read_text("utf-8")))
