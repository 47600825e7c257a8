"""The training lesions on their planes, and the place of a case."""

import numpy as np
import pytest
from factories_tables import make_table

from node.classify.projection import Projection
from node.domain.features import FeatureVector
from node.evaluation.projection import plot_projection
from node.training.fit_projection import fit_projection

COLUMNS = (0, 1, 2, 4)


@pytest.fixture(scope="module")
def table():
    return make_table(patients=30, slices=2)


@pytest.fixture(scope="module")
def projection(table, tmp_path_factory) -> Projection:
    """After a round trip through the file that is shipped."""
    path = tmp_path_factory.mktemp("projection") / "projection.npz"
    fit_projection(table.values, table.names, COLUMNS, table.tumour_types, seed=1).save(path)
    return Projection.load(path)


def vector(table, values) -> FeatureVector:
    return FeatureVector(names=table.names, values=values, profile="test", lesion_number=1)


def test_a_training_lesion_is_placed_where_it_was(table, projection):
    for row in (0, 17):
        placement = projection.place(vector(table, table.values[row]))
        assert placement.pca == pytest.approx(projection.pca[row], abs=1e-4)
        assert placement.tsne == pytest.approx(projection.tsne[row], abs=0.3)
        assert placement.distance == pytest.approx(0, abs=1e-3)


def test_a_case_lies_among_its_nearest_training_lesions(table, projection):
    malignant = np.zeros(len(table.names))
    malignant[0] = 4.0
    placement = projection.place(vector(table, malignant))
    glioma = projection.labels == "glioma"
    centres = [projection.tsne[glioma].mean(axis=0), projection.tsne[~glioma].mean(axis=0)]
    apart = [np.linalg.norm(placement.tsne - centre) for centre in centres]
    assert apart[0] < apart[1]


def test_undefined_features_are_counted_and_others_ignored(table, projection):
    values = table.values[3].copy()
    values[3] = np.nan
    assert projection.place(vector(table, values)).undefined == 0
    values[4] = np.nan
    assert projection.place(vector(table, values)).undefined == 1
    other = FeatureVector(names=("x",), values=np.zeros(1), profile="other", lesion_number=1)
    with pytest.raises(ValueError, match="other does not hold feature_0"):
        projection.place(other)


def test_the_file_is_small_and_names_nobody(table, projection, tmp_path):
    path = tmp_path / "projection.npz"
    projection.save(path)
    with np.load(path, allow_pickle=False) as content:
        texts = {
            str(one)
            for name in content.files
            if content[name].dtype.kind == "U"
            for one in content[name]
        }
    assert not texts & (set(table.patients) | set(table.identifiers))
    assert path.stat().st_size < 20_000


def test_the_plot_is_a_png_that_a_case_changes(table, projection):
    plain = plot_projection(projection)
    case = plot_projection(
        projection, {"lesion 1": projection.place(vector(table, table.values[0]))}
    )
    assert plain[:8] == case[:8] == b"\x89PNG\r\n\x1a\n"
    assert plain != case
