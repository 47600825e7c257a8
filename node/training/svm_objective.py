"""What every search maximises: AUC in cross-validation by patient, less a charge per feature."""

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.multiclass import OneVsRestClassifier
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
        Cross-validated AUC less the charge for features, on the folds that have decided. The
        search has chosen by it, so that it is too high: judge by nested cross-validation or on
        other patients.
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


class _Fold(NamedTuple):
    fitting: NDArray[np.float64]
    fitting_labels: NDArray[Any]
    judging: NDArray[np.float64]
    judging_labels: NDArray[Any]


#: A budget that no search spends.
UNLIMITED = sys.maxsize


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


def build_svc(genome: Genome, labels: NDArray[Any]) -> SVC | OneVsRestClassifier:
    """Build the unfitted SVM of a genome, for scaled features and these labels.

    More than two classes are told apart each from all others. libsvm would tell them apart in
    pairs and count votes, whose sum ranks the lesions of a class worse.
    """
    svc = SVC(
        kernel=genome.kernel,
        C=2.0**genome.log2_c,
        gamma=2.0**genome.log2_gamma / len(genome.columns),
        class_weight="balanced",
        max_iter=MAXIMUM_STEPS,
    )
    return svc if len(np.unique(labels)) < 3 else OneVsRestClassifier(svc)


def build_svm(genome: Genome, labels: NDArray[Any], scaling: str = "standard") -> Pipeline:
    """Build the unfitted pipeline of a genome; it takes the kept columns only."""
    return Pipeline([("scale", build_scaler(scaling)), ("svc", build_svc(genome, labels))])


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
    budget : int
        Most distinct candidates that may be cross-validated.

    Attributes
    ----------
    evaluations : int
        Distinct candidates so far.
    best : Genome or None
    fitness : float
        Of the best.
    trace, history : list of dict
        One entry for each evaluation, and what the search tells of its own steps; see
        ``SearchResult.history``.
    """

    def __init__(
        self,
        values: NDArray[np.float64],
        labels: NDArray[Any],
        patients: NDArray[Any],
        *,
        settings: ClassifierRecipe,
        seed: int,
        budget: int = UNLIMITED,
    ) -> None:
        self.count = values.shape[1]
        self.budget = budget
        self.best: Genome | None = None
        self.fitness = -np.inf
        self.trace: list[dict[str, float]] = []
        self.history: list[dict[str, float]] = []
        self._data = values, labels, patients
        self.settings = settings
        self._seed = seed
        self._known: dict[Genome, float] = {}
        self._folds = self._make_folds(seed)

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
        if self.evaluations >= self.budget:
            raise BudgetSpent
        fitness = self._measure(genome, self._folds)
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

    def conclude(self) -> SearchResult:
        """Let the finalists meet again on folds that the search has not seen.

        The best of many candidates on one set of folds owes part of its lead to those folds. The
        default SVM is always among the finalists.
        """
        assert self.best is not None
        finalists = sorted(self._known, key=lambda genome: -self._known[genome])
        finalists = finalists[: self.settings.finalists]
        winner, fitness = self.best, self.fitness
        if finalists:
            if (default := make_default(self.count)) not in finalists:
                finalists.append(default)
            repeats = self.settings.final_repeats
            folds = [
                fold for k in range(1, repeats + 1) for fold in self._make_folds(self._seed + k)
            ]
            found = [self._measure(genome, folds) for genome in finalists]
            winner, fitness = finalists[int(np.argmax(found))], max(found)
        return SearchResult(
            genome=winner,
            fitness=fitness,
            history=tuple(self.history or self.trace),
            evaluations=self.evaluations,
        )

    def _make_folds(self, seed: int) -> list[_Fold]:
        values, labels, patients = self._data
        made = []
        for fitting, judging in split_by_patient(
            labels, patients, folds=self.settings.folds, seed=seed
        ):
            # Features are scaled one by one, so that a fold is scaled once for all candidates.
            scaler = build_scaler(self.settings.scaling).fit(values[fitting])
            made.append(
                _Fold(
                    scaler.transform(values[fitting]),
                    labels[fitting],
                    scaler.transform(values[judging]),
                    labels[judging],
                )
            )
        return made

    def _measure(self, genome: Genome, folds: Sequence[_Fold]) -> float:
        kept = list(genome.columns)
        scores = []
        for fold in folds:
            with allow_early_stop():
                svc = build_svc(genome, fold.fitting_labels)
                svc.fit(fold.fitting[:, kept], fold.fitting_labels)
            decision = svc.decision_function(fold.judging[:, kept])
            scores.append(measure_auc(fold.judging_labels, decision, svc.classes_))
        return float(np.mean(scores)) - self.settings.feature_charge * len(kept)


class Search(Protocol):
    """A walk over candidates: genetic, on a grid, at random, or none."""

    def __call__(self, objective: Objective, *, seed: int) -> None:
        """Judge candidates until the search is done, or stop by ``BudgetSpent``."""


def run_search(
    search: Search,
    values: NDArray[np.float64],
    labels: NDArray[Any],
    patients: NDArray[Any],
    *,
    settings: ClassifierRecipe,
    seed: int,
    budget: int = UNLIMITED,
) -> SearchResult:
    """Search for the SVM of a table; the parameters are those of ``Objective``."""
    objective = Objective(values, labels, patients, settings=settings, seed=seed, budget=budget)
    with suppress(BudgetSpent):
        search(objective, seed=seed)
    return objective.conclude()
