"""Whether an archive holds what it has accepted."""

from collections.abc import Sequence

from pydicom import dcmread

from node.deliver.proof import Presence
from node.dicom.damage import DAMAGED
from node.jobs.job import Delivery
from node.query.found import Archive, QueryRefused


def look_for_deliveries(archive: Archive, deliveries: Sequence[Delivery]) -> dict[int, Presence]:
    """Look for objects, series by series.

    Archives that do not answer at image level are asked how many objects they hold of the series:
    enough of them count as found, none of the series as missing, fewer tell nothing.

    Returns
    -------
    dict of int to Presence
        By delivery_id; one whose file cannot be read is left out.

    Raises
    ------
    TryLater
        If the archive cannot be asked now.
    QueryRefused
        If it answers at no level.
    """
    groups: dict[tuple[str, str], list[Delivery]] = {}
    for delivery in deliveries:
        place = _place_of(delivery)
        if place is not None:
            groups.setdefault(place, []).append(delivery)
    presence = {}
    for (study, series), group in groups.items():
        try:
            held = {each.sop_instance_uid for each in archive.find_instances(study, series)}
        except QueryRefused:
            verdict = _count(archive, study, series, len(group))
            presence.update({each.delivery_id: verdict for each in group})
            continue
        for each in group:
            is_there = each.sop_instance_uid in held
            presence[each.delivery_id] = Presence.FOUND if is_there else Presence.MISSING
    return presence


def _count(archive: Archive, study: str, series: str, expected: int) -> Presence:
    for found in archive.find_series(study):
        if found.series_instance_uid == series:
            is_enough = found.instance_count is not None and found.instance_count >= expected
            return Presence.FOUND if is_enough else Presence.UNKNOWN
    return Presence.MISSING


def _place_of(delivery: Delivery) -> tuple[str, str] | None:
    try:
        header = dcmread(
            delivery.path,
            stop_before_pixels=True,
            specific_tags=["StudyInstanceUID", "SeriesInstanceUID"],
        )
        return str(header.StudyInstanceUID), str(header.SeriesInstanceUID)
    except DAMAGED:
        return None
