"""The recipe of a bundle: every setting of its training in one YAML file."""

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from node.domain.errors import Problem, SetupFault
from node.training.augment.recipe import AugmentRecipe


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class InputRecipe(_Frozen):
    """Preparation of slices, see ``node.segment.preprocess.InputSpec``."""

    spacing_mm: float = 0.98
    multiple: int = 16
    foreground_fraction: float = 0.08
    empty_fraction: float = 0.15
    clip_low: float = -3.0
    clip_high: float = 6.0


class LesionCandidates(_Frozen):
    """Values that are tried on validation patients, see ``node.segment.lesions.LesionSpec``."""

    threshold: tuple[float, ...] = (0.5,)
    minimum_area_mm2: tuple[float, ...] = (15.0,)
    minimum_peak: tuple[float, ...] = (0.7,)
    smoothing_slices: tuple[float, ...] = (0.0,)


class NetworkRecipe(_Frozen):
    """The network, see ``node.segment.msa_resunet.NetworkSpec``."""

    filters: tuple[int, ...] = (16, 32, 64, 128, 192)
    dropout: float = 0.1
    residual: bool = True
    fusion: bool = True
    fusion_channels: int = 8
    selective_from: int | None = 3
    gates: bool = True
    supervision: bool = True


class LossRecipe(_Frozen):
    """What training makes small, see ``node.training.losses``.

    Parameters
    ----------
    miss_weight : float
        Of missed against false pixels in the overlap: 0.5 is soft Dice, more is Tversky.
    smooth_pixels : float
        Added above and below the fraction of the overlap.
    entropy_weight : float
    focal_gamma : float
        0 is plain cross-entropy.
    boundary_weight : float
        By how much more the entropy counts within two pixels of an outline.
    """

    miss_weight: float = Field(0.5, ge=0, le=1)
    smooth_pixels: float = Field(5.0, gt=0)
    entropy_weight: float = Field(2.0, ge=0)
    focal_gamma: float = Field(0.0, ge=0)
    boundary_weight: float = Field(0.0, ge=0)


class Phase(_Frozen):
    """A stretch of training: coarse grids first are cheap and show much of the organ.

    Parameters
    ----------
    epochs : int
    spacing_mm : float
        In-plane spacing of the grid; the last phase has that of the input.
    crop : int
        Rows and columns of a sample.
    restart_rate : float, optional
        Start again from this learning rate, with a cosine that ends with the phases up to the
        next restart (warm restart; Loshchilov and Hutter, ICLR 2017, arXiv:1608.03983).
    """

    epochs: int = Field(ge=1)
    spacing_mm: float = Field(gt=0)
    crop: int = Field(ge=8)
    restart_rate: float | None = Field(None, gt=0)


class SegmenterRecipe(_Frozen):
    """The network and its training.

    Parameters
    ----------
    network : NetworkRecipe
    loss : LossRecipe
    augment : AugmentRecipe
        Its ``crop`` is replaced by the phase's.
    phases : tuple of Phase
    batch : int
    learning_rate, weight_decay : float
        Of AdamW; the rate rises over one epoch and falls by a cosine over all phases.
    average : float
        Momentum of the running average of the weights, which is what is judged and kept.
    precision : str
        Keras's policy in training; a bundle holds float32.
    negatives : str
        Where slices without lesion come from: a second data set, ``own`` cases, or nowhere.
    negative_share : float
        Of every batch.
    negatives_from_epoch : int
    points : int
        Drawn in each nodule, for bundles of that kind.
    validation_slices : int
        At most so many slices of each kind are judged after an epoch, evenly drawn.
    """

    network: NetworkRecipe = NetworkRecipe()
    loss: LossRecipe = LossRecipe()
    augment: AugmentRecipe = AugmentRecipe()
    phases: tuple[Phase, ...] = Field((Phase(epochs=30, spacing_mm=0.98, crop=192),), min_length=1)
    batch: int = Field(16, ge=1)
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    average: float = Field(0.99, ge=0, lt=1)
    precision: str = "mixed_bfloat16"
    negatives: str = ""
    negative_share: float = Field(0.25, ge=0, lt=1)
    negatives_from_epoch: int = Field(0, ge=0)
    points: int = Field(3, ge=1)
    validation_slices: int = Field(300, ge=1)

    @property
    def epochs(self) -> int:
        """Of all phases."""
        return sum(phase.epochs for phase in self.phases)


class ClassifierRecipe(_Frozen):
    """Choice of features, genetic search and calibration of the SVM.

    Parameters
    ----------
    population, generations : int
        Of the genetic search; together they fix the number of evaluations.
    smooth_seeds : bool
        The first generation holds smooth SVMs on all features, see ``genetic_search``; false as in
        bundles that were searched without them.
    folds : int
        Of the cross-validation by patient that gives the fitness.
    feature_charge : float
        AUC that one more feature must earn.
    finalists : int
        So many of the best candidates, and the default SVM, meet again on folds that the search
        has not seen, which decide; 0: the search itself decides.
    final_repeats : int
        Sets of folds of that meeting.
    undefined_limit : float
        Features that are undefined in a larger share of the training lesions are dropped.
    correlation_limit : float
        Of two features whose absolute rank correlation is larger, one is dropped.
    reproducibility : str
        File with ``{"feature": icc}`` beside the recipe; empty: fragile features stay.
    minimum_icc : float
        Features with a smaller ICC in that file are dropped.
    scaling : str
        ``power`` (Yeo-Johnson, to a normal distribution) or ``standard``.
    calibration : str
        ``sigmoid`` (Platt), ``isotonic``, or ``choose``: isotonic where its Brier score in
        cross-validation over validation patients is smaller beyond chance.
    tumour_type : bool
        Whether the type is predicted too; it is not where the set knows only one.
    minimum_overlap : float
        Dice below which a predicted lesion is not the labelled tumour.
    slices_per_patient : int
        At most so many rows of a patient are learnt from.
    abstain_low, abstain_high : float
        Between these probabilities the answer is "indeterminate".
    profile, spacing_mm, slice_spacing_mm, normalisation, bin_width
        See ``node.radiomics.extract.ExtractionSpec``; without ``spacing_mm`` that of the input.
    """

    population: int = Field(40, ge=4)
    smooth_seeds: bool = True
    generations: int = Field(20, ge=1)
    folds: int = Field(5, ge=2)
    feature_charge: float = 0.0005
    finalists: int = Field(0, ge=0)
    final_repeats: int = Field(5, ge=1)
    undefined_limit: float = Field(0.02, ge=0, lt=1)
    correlation_limit: float = Field(0.95, gt=0, le=1)
    reproducibility: str = ""
    minimum_icc: float = 0.75
    scaling: Literal["power", "standard"] = "power"
    calibration: Literal["sigmoid", "isotonic", "choose"] = "choose"
    tumour_type: bool = True
    minimum_overlap: float = 0.1
    profile: str = "planar-102"
    spacing_mm: float | None = None
    slice_spacing_mm: float | None = None
    normalisation: Literal["tissue", "none"] = "tissue"
    abstain_low: float = 0.4
    abstain_high: float = 0.6
    slices_per_patient: int = Field(8, ge=1)
    bin_width: float = 10.0


class Recipe(_Frozen):
    """All settings; a bundle keeps the file that it was made from.

    ``ablation`` holds the phases of ``onconode train ablation`` and ``train losses``, and
    ``losses`` the candidates of the latter, by name; without ``classifier`` the bundle
    outlines lesions only.
    """

    task: str
    version: str
    dataset: str
    kind: Literal["slices", "nodule"] = "slices"
    seed: int = 20150
    fractions: dict[str, float]
    input: InputRecipe = InputRecipe()
    nodule: dict[str, float | int] = {}
    lesions: LesionCandidates = LesionCandidates()
    segmenter: SegmenterRecipe = SegmenterRecipe()
    classifier: ClassifierRecipe | None = None
    ablation: tuple[Phase, ...] = ()
    losses: dict[str, LossRecipe] = {}
    bundle: dict[str, Any]


def load_recipe(path: Path) -> Recipe:
    """Read and check a recipe.

    Raises
    ------
    SetupFault
        If the file is missing, is not YAML or has unknown or wrong keys; all are named.
    """
    try:
        return Recipe.model_validate(yaml.safe_load(path.read_text()))
    except (OSError, yaml.YAMLError) as fault:
        raise SetupFault(f"recipe {path.name} cannot be read: {fault}") from fault
    except ValidationError as fault:
        problems = [
            Problem(
                code="recipe-key",
                found=f"{error['msg']} ({error.get('input')!r})"[:200],
                expected="a key and value as documented in models/README.md",
                remedy="correct the recipe",
                tag=f"{path.name}:{'.'.join(str(part) for part in error['loc'])}",
            )
            for error in fault.errors()
        ]
        raise SetupFault("\n".join(str(problem) for problem in problems)) from fault
