"""Paths in the database: what has to change when a data directory lies elsewhere."""

from pathlib import Path
from typing import cast

from sqlalchemy import Engine, Table, Text, func, literal, select, update

from node.storage.database import writing
from node.storage.tables import DeliveryRow, InstanceRow, QuarantinedRow

PATHS = (InstanceRow, QuarantinedRow, DeliveryRow)
"""Tables with a column ``path``; a test compares them with all tables."""


def relocate(engine: Engine, *, before: Path, after: Path) -> int:
    """Let every path below one folder lie below another; return how many there were."""
    old, new = f"{before}/", f"{after}/"
    if old == new:
        return 0
    count = 0
    with writing(engine) as session:
        for rows in PATHS:
            table = cast("Table", rows.__table__)
            inside = func.substr(table.c.path, 1, len(old)) == old
            count += session.scalar(select(func.count()).select_from(table).where(inside)) or 0
            rest = func.substr(table.c.path, len(old) + 1, type_=Text)
            moved = literal(new, Text) + rest
            session.execute(update(table).where(inside).values(path=moved))
    return count
