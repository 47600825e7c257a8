"""Does a series come from this node, or from another like it? Such series are never analysed.

Results say so twice: as manufacturer or model, and in Contributing Equipment, which stays when a
PACS rewrites the former. Device UIDs hold where names were taken out.

References
----------
PS3.3 C.7.5.1 (General Equipment), C.12.1 (Contributing Equipment, SOP Common).
"""

from collections.abc import Collection

from node.domain.study import Series

OWN_NAME = "onconode"
EQUIPMENT = "ContributingEquipmentSequence"
_NAMES = ("Manufacturer", "ManufacturerModelName")


def is_own(series: Series, device_uids: Collection[str] = ()) -> bool:
    """Tell whether a node of this kind has made a series.

    Parameters
    ----------
    series : Series
    device_uids : collection of str
        Of the models of this node.
    """
    names = [series.attributes.get(name, "") for name in _NAMES]
    contributed = series.attributes.get(EQUIPMENT, "").split("\\")
    return any(name.casefold().startswith(OWN_NAME) for name in (*names, *contributed)) or bool(
        {*contributed, series.attributes.get("DeviceUID", "")} & {*device_uids}
    )
