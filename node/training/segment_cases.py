"""Outline labelled cases with a freshly trained network, by the code that serves."""

from pathlib import Path
from typing import Protocol

import numpy as np
import structlog
from numpy.typing import NDArray

from node.domain.prompt import Prompt
from node.domain.segmentation import Segmentation
from node.segment.lesions import LesionSpec, find_lesions
from node.segment.network import Network
from node.segment.nodule import NoduleNetwork, find_nodules
from node.segment.nodule_patches import NoduleInputSpec
from node.segment.preprocess import InputSpec
from node.training.datasets.labelled import LabelledCase
from node.training.recipe import Recipe

log = structlog.get_logger()


class CaseSegmenter(Protocol):
    """Outlines the lesions of a case, under one meaning of "lesion" or another."""

    def segment(self, case: LabelledCase, spec: LesionSpec) -> Segmentation:
        """Outline the lesions of a case."""


class SliceSegmenter:
    """Sees whole slices; asked again about the same case, it only counts lesions anew."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self._case: LabelledCase | None = None
        self._probability: NDArray[np.float16] = np.empty(0, np.float16)

    def segment(self, case: LabelledCase, spec: LesionSpec) -> Segmentation:
        """Outline the lesions of a case."""
        if case is not self._case:
            self._case, self._probability = case, self.network.predict(case.volumes)
        return find_lesions(case.volume, self._probability, spec, model_digest="")


class NoduleSegmenter:
    """Sees the surroundings of the point that the case brings."""

    def __init__(self, network: NoduleNetwork) -> None:
        self.network = network

    def segment(self, case: LabelledCase, spec: LesionSpec) -> Segmentation:
        """Outline the lesion at the point; what is not found is told."""
        assert case.point_lps_mm is not None
        prompt = Prompt(point_lps_mm=case.point_lps_mm, label=case.identifier)
        found = find_nodules(case.volume, [prompt], self.network, spec, model_digest="")
        for problem in found.absent:
            log.warning("nodule.not-found", case=case.identifier, problem=str(problem))
        return found.segmentation


def open_segmenter(recipe: Recipe, network: Path) -> CaseSegmenter:
    """Load the network of a run, as its recipe's kind has it; needs TensorFlow."""
    if recipe.kind == "nodule":
        spec = NoduleInputSpec(**recipe.nodule)  # type: ignore[arg-type]  # YAML numbers: sizes are whole there
        return NoduleSegmenter(NoduleNetwork.load(network, spec))
    return SliceSegmenter(Network.load(network, InputSpec(**recipe.input.model_dump())))
