"""How opinions look on a terminal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from node.cli.screen import table
from node.domain.feedback import FeedbackKind, Voice

if TYPE_CHECKING:
    from node.config.settings import Settings
    from node.domain.feedback import Feedback, Opinion

STYLES = {
    FeedbackKind.AGREE: "green",
    FeedbackKind.DISAGREE: "yellow",
    FeedbackKind.CORRECTED_CLASS: "yellow",
    FeedbackKind.REJECTION: "bold red",
}
SHORT = 12


def feedback_table(feedback: "Sequence[Feedback]", *, title: str = "") -> Table:
    """Return a table of opinions."""
    rows = table(
        "number", "said", "what", "by", "lesion", "what it says", "job", "version", title=title
    )
    for each in feedback:
        opinion = each.opinion
        author = opinion.author or "unnamed"
        rows.add_row(
            str(each.feedback_id),
            opinion.at.astimezone().strftime("%Y-%m-%d %H:%M"),
            Text(f"{opinion.kind.value} ({opinion.source.value})", STYLES.get(opinion.kind, "")),
            Text(author if opinion.voice is Voice.PERSON else f"{author}, an algorithm"),
            opinion.tracking_uid or ("" if opinion.outline is None else "missed by the node"),
            Text(tell(opinion)),
            opinion.job_id[:SHORT],
            f"{each.version}" if each.is_current else f"{each.version}, superseded",
        )
    return rows


def tell(opinion: "Opinion") -> str:
    """Say in a line what an opinion holds."""
    told = []
    if opinion.class_after:
        told.append(f"{opinion.class_before or 'no class'} -> {opinion.class_after}")
    if opinion.outline is not None:
        outline = opinion.outline
        told.append(f"Dice {outline.dice:.3f}, surface Dice {outline.surface_dice:.3f}")
        if outline.hd95_mm is not None:
            told.append(f"HD95 {outline.hd95_mm:.1f} mm")
        told.append(f"{outline.node_ml:.2f} -> {outline.reader_ml:.2f} ml")
    if opinion.comment:
        told.append(opinion.comment)
    return ", ".join(told)


def said_of_job(settings: "Settings", job_id: str) -> "tuple[Feedback, ...]":
    """Return what was said of the result of a job, also what was superseded."""
    from node.bootstrap.parts import Parts

    return Parts(settings=settings).feedback.list(job=job_id, superseded=True)


def rejection_facts(said: "Sequence[Feedback]") -> list[tuple[str, str]]:
    """Return the line that tells a rejected result; none where it was not rejected."""
    rejected = [each.opinion for each in said if each.opinion.kind is FeedbackKind.REJECTION]
    if not rejected:
        return []
    objects = sorted({each.result_sop_instance_uid for each in rejected})
    return [("rejected", f"{rejected[0].comment}; not sent again: {', '.join(objects)}")]
