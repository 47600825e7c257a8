"""How often each routing rule made a job."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, func, select

from node.storage.database import reading
from node.storage.tables import JobRow


@dataclass(frozen=True, kw_only=True)
class RuleUse:
    """Jobs of one rule within a time.

    Parameters
    ----------
    jobs : int
    last_at : datetime
        When the latest was made.
    """

    jobs: int
    last_at: datetime


def count_rule_use(engine: Engine, *, since: datetime) -> Mapping[str, RuleUse]:
    """Return rule -> its jobs since a moment; rules without any are not in it.

    Refused studies, which no rule took, stand under the empty name.
    """
    query = (
        select(JobRow.rule, func.count(), func.max(JobRow.created_at))
        .where(JobRow.created_at >= since)
        .group_by(JobRow.rule)
    )
    with reading(engine) as session:
        return {
            rule: RuleUse(jobs=jobs, last_at=last_at)
            for rule, jobs, last_at in session.execute(query)
        }
