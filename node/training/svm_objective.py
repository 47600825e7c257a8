"""What every search maximises: AUC in cross-validation by patient, less a charge per feature."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import PowerTransformer, StandardScaler
from sklearn.svm import SVC

from node.domain.errors import SetupFault
from node.evaluation.discrimination import measure_auc
from node.training.recipe import ClassifierRecipe

KERNELS = ("linear", "rbf")

#: Bounds of the search, as powers of two. Gamma is a multiple of one over the number of features.
LOG2_C = (-6.0, 10.0)
LOG2_GAMMA = (-8.0, 5.0)

#: libsvm needs millions of steps for a large C on data that no plane divides; an SVM is judged and
#: shipped as it stands after so many.
MAXIMUM_STEPS = 100_000


@dataclass(frozen=True, kw_only=True)
class Genome:
    """One candidate SVM.

    Parameters
    ----------
    kernel : str
    log2_c, log2_gamma : float
        Gamma is a multiple of one over the number of kept features.
    columns : tuple of int
        Features that it may use.
    """

    kernel: str
    log2_c: float
    log2_gamma: float
    columns: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """What a search found.

    Parameters
    ----------
    genome : Genome
        Highest fitness of all.
    fitness : float
        Cross-validated AUC less the charge for features. The search has chosen by it, so that it
        is too high: judge by nested cross-validation or on other patients.
    history : tuple of dict
        Per generation (genetic search) or evaluation: evaluations and best fitness so far, number
        of features of the best, and the mean of the population where there is one.
    evaluations : int
        Distinct candidates that were cross-validated.
    """

    genome: Genome
    fitness: float
    history: tuple[dict[str, float], ...] = ()
    evaluations: int = 0


class BudgetSpent(Exception):
    """The search has made as many evaluations as it may; nothing is wrong."""


def make_default(count: int) -> Genome:
    """Return the SVM that scikit-learn makes by default, on all features."""
    return Genome(kernel="rbf", log2_c=0.0, log2_gamma=0.0, columns=tuple(range(count)))


def build_scaler(scaling: str) -> Pipeline:
    """Build what brings every feature to zero mean and unit deviation, each by itself.

    References
    ----------
    Yeo, Johnson, Biometrika 87(4), 2000, doi:10.1093/biomet/87.4.954.
    """
    steps = [StandardScaler(), PowerTransformer()] if scaling == "power" else [StandardScaler()]
    return make_pipeline(*steps)


def build_svc(genome: Genome) -> SVC:
    """Build the unfitted SVM of a genome, for scaled features."""
    return SVC(
        kernel=genome.kernel,
        C=2.0**genome.log2_c,
        gamma=2.0**genome.log2_gamma / len(genome.columns),
        class_weight="balanced",
        decision_function_shape="ovr",
        max_iter=MAXIMUM_STEPS,
    )


def build_svm(genome: Genome, scaling: str = "standard") -> Pipeline:
    """Build the unfitted pipeline of a genome; it takes the kept columns only."""
    return Pipeline([("scale", build_scaler(scaling)), ("svc", build_svc(genome))])


@contextmanager
def allow_early_stop() -> Iterator[None]:
    """Fit an SVM without a warning that it has stopped, see ``MAXIMUM_STEPS``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def split_by_patient(
    labels: NDArray[Any], patients: NDArray[Any], *, folds: int, seed: int
) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Return (fitting, judging) rows of each fold; every fold holds every class on both sides.

    Raises
    ------
    SetupFault
        If there are too few patients of a class for so many folds.
    """
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    classes = np.unique(labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # told below, with what to do
        try:
            pairs = list(splitter.split(np.zeros(len(labels)), labels, patients))
        except ValueError as fault:
            raise SetupFault(f"{folds} folds by patient are not possible: {fault}") from fault
    for pair in pairs:
        if any(len(np.unique(labels[rows])) < len(classes) for rows in pair):
            raise SetupFault(
                f"{folds} folds by patient leave a fold without one of the classes "
                f"{', '.join(str(name) for name in classes)}: ask for fewer folds"
            )
    return pairs


class Objective:
    """Fitness of candidates, each cross-validated once.

    Parameters
    ----------
    values : ndarray, shape (n, features)
        Without NaN.
    labels, patients : ndarray, shape (n,)
    settings : ClassifierRecipe
    seed : int
        Of the folds.
    budget : int, optional
        Most distinct candidates that may be cross-validated.

    Attributes
    ----------
    evaluations : int
        Distinct candidates so far.
    best : Genome or None
    fitness : float
        Of the best.
    trace : list of dict
        One entry for each evaluation, see ``SearchResult.history``.
    """

    def __init__(
        self,
        values: NDArray[np.float64],
        labels: NDArray[Any],
        patients: NDArray[Any],
        *,
        settings: ClassifierRecipe,
        seed: int,
        budget: int | None = None,
    ) -> None:
        self.count = values.shape[1]
        self.budget = budget
        self.best: Genome | None = None
        self.fitness = -np.inf
        self.trace: list[dict[str, float]] = []
        self._charge = settings.feature_charge
        self._known: dict[Genome, float] = {}
        self._folds = []
        for fitting, judging in split_by_patient(labels, patients, folds=settings.folds, seed=seed):
            # Features are scaled one by one, so that a fold is scaled once for all candidates.
            scaler = build_scaler(settings.scaling).fit(values[fitting])
            self._folds.append(
                (
                    scaler.transform(values[fitting]),
                    labels[fitting],
                    scaler.transform(values[judging]),
                    labels[judging],
                )
            )

    @property
    def evaluations(self) -> int:
        """Number of distinct candidates so far."""
        return len(self._known)

    def judge(self, genome: Genome) -> float:
        """Return the fitness; that of a candidate seen before costs nothing.

        Raises
        ------
        BudgetSpent
            If the candidate is new and no evaluation is left.
        """
        if genome in self._known:
            return self._known[genome]
        if self.budget is not None and self.evaluations >= self.budget:
            raise BudgetSpent
        fitness = self._cross_validate(genome) - self._charge * len(genome.columns)
        self._known[genome] = fitness
        if fitness > self.fitness:
            self.best, self.fitness = genome, fitness
        assert self.best is not None
        self.trace.append(
            {
                "evaluations": float(self.evaluations),
                "best": self.fitness,
                "features": float(len(self.best.columns)),
            }
        )
        return fitness

    def _cross_validate(self, genome: Genome) -> float:
        kept = list(genome.columns)
        scores = []
        for fitting, fitting_labels, judging, judging_labels in self._folds:
            with allow_early_stop():
                svc = build_svc(genome).fit(fitting[:, kept], fitting_labels)
            scores.append(
                measure_auc(judging_labels, svc.decision_function(judging[:, kept]), svc.classes_)
            )
        return float(np.mean(scores))
