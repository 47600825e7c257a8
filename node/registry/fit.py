"""What a bundle was made for, and refusing everything else."""

from collections.abc import Iterable

from node.domain.errors import InputRejected, Problem
from node.domain.study import Series
from node.registry.bundle import Bundle


def check_all_fit(series: Iterable[Series], bundle: Bundle) -> None:
    """Refuse several series that the bundle was not made for.

    Raises
    ------
    InputRejected
        With every condition that is not met, of every series.
    """
    problems: list[Problem] = []
    for item in series:
        try:
            check_fit(item, bundle)
        except InputRejected as rejected:
            problems += rejected.problems
    if problems:
        raise InputRejected(problems)


def check_fit(series: Series, bundle: Bundle) -> None:
    """Refuse a series that the bundle was not made for.

    Raises
    ------
    InputRejected
        With every condition that is not met.
    """
    accepts = bundle.manifest.accepts
    name = f"{bundle.manifest.name}/{bundle.manifest.version}"
    body_part = series.attributes.get("BodyPartExamined", "").strip().upper()
    known = [part.upper() for part in accepts.body_part]
    problems = []

    def refuse(code: str, tag: str, found: str, expected: str) -> None:
        problems.append(
            Problem(
                code=code,
                tag=tag,
                uid=series.series_instance_uid,
                found=found,
                expected=f"{expected} (bundle {name})",
                remedy="route the series to a bundle made for it, or name another with --bundle",
            )
        )

    if series.modality not in accepts.modality:
        refuse("wrong-modality", "Modality", series.modality, " or ".join(accepts.modality))
    if body_part not in known and not (accepts.body_part_optional and not body_part):
        refuse("wrong-body-part", "BodyPartExamined", body_part or "none", " or ".join(known))
    if series.geometry is not None:
        _, *spacing_mm = series.geometry.spacing_mm
        if max(spacing_mm) > accepts.maximum_spacing_mm:
            refuse(
                "pixels-too-coarse",
                "PixelSpacing",
                f"{max(spacing_mm):.2f} mm",
                f"at most {accepts.maximum_spacing_mm:g} mm",
            )
        _, rows, columns = series.geometry.shape
        extent_mm = min(rows * spacing_mm[0], columns * spacing_mm[1])
        if extent_mm < accepts.minimum_extent_mm:
            refuse(
                "field-of-view-too-small",
                "Rows",
                f"{extent_mm:.0f} mm",
                f"at least {accepts.minimum_extent_mm:g} mm: the whole organ",
            )
    if problems:
        raise InputRejected(problems)
