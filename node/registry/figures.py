"""Figures of a bundle on its test patients, as its ``metrics.json`` has them."""

import json
from types import MappingProxyType
from typing import Any

from node.domain.model_facts import ModelFigure
from node.registry.bundle import Bundle

_PLACES = MappingProxyType(
    {
        "dice": ("dice",),
        "detection": ("detection",),
        "auc": ("malignancy", "auc"),
        "sensitivity": ("malignancy", "sensitivity"),
        "specificity": ("malignancy", "specificity"),
        "decided": ("malignancy", "decided"),
    }
)


def read_figures(bundle: Bundle) -> dict[str, ModelFigure]:
    """Return the figures that a reader of a report should know.

    Parameters
    ----------
    bundle : Bundle

    Returns
    -------
    dict of str to ModelFigure
        Those of ``dice``, ``detection``, ``auc``, ``sensitivity``, ``specificity`` and ``decided``
        that were measured, in this order.
    """
    path = bundle.path / "metrics.json"
    if not path.is_file():
        return {}
    metrics = json.loads(path.read_text("utf-8"))
    found = {name: _find(metrics, keys) for name, keys in _PLACES.items()}
    return {name: figure for name, figure in found.items() if figure is not None}


def _find(metrics: Any, keys: tuple[str, ...]) -> ModelFigure | None:
    for key in keys:
        metrics = metrics.get(key) if isinstance(metrics, dict) else None
    if not isinstance(metrics, dict) or metrics.get("value") is None:
        return None
    low, high = metrics.get("interval_95") or (None, None)
    if low is None or high is None:
        return None
    return ModelFigure(
        value=float(metrics["value"]),
        low=float(low),
        high=float(high),
        patients=int(metrics.get("patients", 0)),
    )
