"""Plot of a case among the lesions that its bundle's classifier was trained on."""

from pathlib import Path

from node.evaluation.projection import plot_projection
from node.pipeline import Case


def write_explanation(case: Case) -> Path | None:
    """Draw the case's lesions on the PCA and t-SNE planes of the training lesions.

    Parameters
    ----------
    case : Case
        After all stages.

    Returns
    -------
    Path or None
        ``<prefix>_explain.png`` in the case's folder; None if there is no lesion, or the bundle
        has no classifier or no planes.
    """
    projection = case.toolbox.projection
    if not case.features or projection is None:
        return None
    places = {
        f"lesion {vector.lesion_number}": projection.place(vector) for vector in case.features
    }
    target = case.out_dir / f"{case.prefix}_explain.png"
    target.write_bytes(plot_projection(projection, places))
    return target
