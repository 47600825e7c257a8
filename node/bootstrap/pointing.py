"""Prompts of a case: what objects of its study point at, and seeds from outside."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from node.assemble.prompts import PointedAt, pointing_series, read_prompts, require_prompts
from node.config.settings import RoutingRule
from node.domain.errors import SetupFault
from node.domain.geometry import Vector
from node.domain.prompt import Prompt
from node.domain.study import InstanceRef, Series, Study
from node.registry.store import ModelStore


@dataclass(frozen=True, kw_only=True)
class Seeds:
    """Points from the command line.

    Parameters
    ----------
    points_lps_mm : tuple of tuple of float
        In the patient's coordinate system.
    voxels : tuple of tuple of float
        Column, row and slice, from 0; slices in the order of the checked series.
    """

    points_lps_mm: tuple[Vector, ...] = ()
    voxels: tuple[Vector, ...] = ()

    def prompts(self, series: Series) -> tuple[Prompt, ...]:
        """Return them as prompts in a series."""
        assert series.geometry is not None
        points = [*self.points_lps_mm]
        for column, row, k in self.voxels:
            x, y, z = series.geometry.to_lps((k, row, column))
            points.append((float(x), float(y), float(z)))
        return tuple(
            Prompt(point_lps_mm=point, label=f"seed {number}")
            for number, point in enumerate(points, start=1)
        )


def needs_prompts(models: ModelStore, bundle: str) -> bool:
    """Tell whether a bundle refines what somebody points at."""
    try:
        return models.manifest(bundle).kind == "nodule"
    except SetupFault:
        return False  # its first use will tell


def find_prompts(
    study: Study,
    series: Series,
    rule: RoutingRule | None,
    *,
    seeds: Seeds | None = None,
    results: Collection[str] = (),
) -> PointedAt:
    """Collect the prompts of a case; seeds take the place of the study's objects.

    Parameters
    ----------
    study : Study
    series : Series
        Checked.
    rule : RoutingRule or None
    seeds : Seeds, optional
    results : collection of str
        SOP Instance UIDs of what was made of the study before: answers to it are no prompts.

    Raises
    ------
    InputRejected
        If there are none.
    """
    given = seeds.prompts(series) if seeds else ()
    if given:
        return PointedAt(prompts=given)
    labels = rule.prompt_labels if rule else ()
    pointed = read_prompts(pointing_series(study, results=results), series, labels=labels)
    require_prompts(pointed, series)
    return pointed


def sources_of(study: Study, prompts: Sequence[Prompt]) -> tuple[InstanceRef, ...]:
    """Objects of a study that prompts come from."""
    wanted = {prompt.sop_instance_uid for prompt in prompts}
    return tuple(
        instance
        for series in study.series
        for instance in series.instances
        if instance.sop_instance_uid in wanted
    )
