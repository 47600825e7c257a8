"""Sentences that tell a reader which images a case was made of."""

from node.case import Case
from node.domain.study import Series


def tell_parts(case: Case) -> list[str]:
    """Say which volume of a series was taken, where it holds several."""
    told = []
    for series in (case.series, *case.companions.values()):
        if series.part is not None:
            number = series.attributes.get("SeriesNumber") or "unknown"
            told.append(f"series number {number}: {series.part} (by {series.part.chosen_by})")
    return told


def tell_thickness(series: Series) -> list[str]:
    """Warn of a volume that rests on the thickness of a single slice."""
    if len(series.slices) != 1:
        return []
    known = any(series.attributes.get(name) for name in ("SliceThickness", "SpacingBetweenSlices"))
    thickness_mm = series.geometry.spacing_mm[0] if series.geometry else 0.0
    told = f"{thickness_mm:g} mm" + ("" if known else ", assumed as the header names none")
    return [f"one slice only: volumes are areas times its thickness ({told})"]


def tell_roles(case: Case) -> list[str]:
    """Say in which series of the study the network looked, where there are several."""
    roles = [role.name for role in case.toolbox.bundle.manifest.roles]
    if not case.companions:
        return []
    series = {roles[0]: case.series, **case.companions}
    told = [
        f"{role} = series number {series[role].attributes.get('SeriesNumber') or 'unknown'}"
        for role in roles
    ]
    return [f"Read together, on the grid of the first: {', '.join(told)}."]
