"""A bundle, loaded: network, extractor, classifier and projection, ready for many cases."""

from dataclasses import dataclass
from pathlib import Path

from node.classify.model import Classifier
from node.classify.predict import AbstainRule
from node.classify.projection import PROJECTION_FILE, Projection
from node.radiomics.extract import ExtractionSpec, Extractor
from node.radiomics.profiles import PROFILES
from node.registry.bundle import Bundle
from node.registry.manifest import ClassifierEntry
from node.segment.lesions import LesionSpec
from node.segment.network import Network
from node.segment.nodule import NoduleNetwork
from node.segment.nodule_patches import NoduleInputSpec
from node.segment.preprocess import InputSpec


@dataclass(frozen=True, kw_only=True, eq=False)
class Toolbox:
    """A bundle, loaded: everything that is slow to load and serves many cases.

    ``extractor``, ``classifier`` and ``abstain`` are None in bundles that only segment;
    ``projection``, the training lesions, in those that keep none.
    """

    bundle: Bundle
    network: Network | NoduleNetwork
    lesions: LesionSpec
    extractor: Extractor | None
    classifier: Classifier | None
    abstain: AbstainRule | None
    projection: Projection | None = None


def open_toolbox(bundle: Bundle) -> Toolbox:
    """Load network, extractor and classifier of a bundle; needs TensorFlow."""
    manifest = bundle.manifest
    entry = manifest.classifier
    return Toolbox(
        bundle=bundle,
        network=load_network(bundle),
        lesions=LesionSpec(**manifest.lesions),
        extractor=Extractor(extraction_spec(entry)) if entry else None,
        classifier=Classifier.load(bundle.path / "classifier.skops") if entry else None,
        abstain=AbstainRule(
            low=entry.abstain_low, high=entry.abstain_high, novelty_limit=entry.novelty_limit
        )
        if entry
        else None,
        projection=_open_projection(bundle.path / PROJECTION_FILE) if entry else None,
    )


def _open_projection(path: Path) -> Projection | None:
    return Projection.load(path) if path.is_file() else None


def load_network(bundle: Bundle) -> Network | NoduleNetwork:
    """Load the network of a bundle, as its kind has it; needs TensorFlow."""
    path, numbers = bundle.path / "segmenter.keras", bundle.manifest.input
    if bundle.manifest.kind == "nodule":
        return NoduleNetwork.load(path, NoduleInputSpec(**numbers))  # type: ignore[arg-type]  # pydantic has checked the numbers
    return Network.load(path, InputSpec(**numbers))  # type: ignore[arg-type]  # pydantic has checked the numbers


def extraction_spec(entry: ClassifierEntry) -> ExtractionSpec:
    """Settings of the features that a bundle's classifier was trained on."""
    return ExtractionSpec(
        profile=PROFILES[entry.profile],
        spacing_mm=entry.spacing_mm,
        bin_width=entry.bin_width,
        foreground_fraction=entry.foreground_fraction,
        normalisation=entry.normalisation,
        slice_spacing_mm=entry.slice_spacing_mm,
    )
