"""The recipe of a bundle: every setting of its training in one YAML file."""

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from node.domain.errors import Problem, SetupFault


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


class SegmenterRecipe(_Frozen):
    """The network and its training."""

    filters: tuple[int, ...] = (16, 32, 64, 128, 192)
    blocks: int = 1
    dropout: float = 0.1
    crop: int = 192
    batch: int = 16
    epochs: int = Field(30, ge=1)
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    precision: str = "mixed_bfloat16"
    negatives: str = ""
    negative_share: float = Field(0.25, ge=0, lt=1)
    negatives_from_epoch: int = Field(0, ge=0)


class ClassifierRecipe(_Frozen):
    """Choice of features, genetic search and calibration of the SVM.

    Parameters
    ----------
    population, generations : int
        Of the genetic search; together they fix the number of evaluations.
    folds : int
        Of the cross-validation by patient that gives the fitness.
    feature_charge : float
        AUC that one more feature must earn.
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
        ``sigmoid`` (Platt), ``isotonic``, or ``choose``: what has the smaller Brier score in
        cross-validation over validation patients.
    tumour_type : bool
        Whether the type is predicted too; it is not where the set knows only one.
    minimum_overlap : float
        Dice below which a predicted lesion is not the labelled tumour.
    slices_per_patient : int
        At most so many rows of a patient are learnt from.
    abstain_low, abstain_high : float
        Between these probabilities the answer is "indeterminate".
    profile, bin_width : str, float
        See ``node.radiomics.extract.ExtractionSpec``.
    """

    population: int = Field(40, ge=4)
    generations: int = Field(20, ge=1)
    folds: int = Field(5, ge=2)
    feature_charge: float = 0.0005
    undefined_limit: float = Field(0.02, ge=0, lt=1)
    correlation_limit: float = Field(0.95, gt=0, le=1)
    reproducibility: str = ""
    minimum_icc: float = 0.75
    scaling: Literal["power", "standard"] = "power"
    calibration: Literal["sigmoid", "isotonic", "choose"] = "choose"
    tumour_type: bool = True
    minimum_overlap: float = 0.1
    profile: str = "planar-102"
    abstain_low: float = 0.4
    abstain_high: float = 0.6
    slices_per_patient: int = Field(8, ge=1)
    bin_width: float = 10.0


class Recipe(_Frozen):
    """All settings; a bundle keeps the file that it was made from."""

    task: str
    version: str
    dataset: str
    seed: int = 20150
    fractions: dict[str, float]
    input: InputRecipe = InputRecipe()
    lesions: LesionCandidates = LesionCandidates()
    segmenter: SegmenterRecipe = SegmenterRecipe()
    classifier: ClassifierRecipe = ClassifierRecipe()
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
