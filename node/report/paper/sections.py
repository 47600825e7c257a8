"""The sections of the report, in the order in which they are read."""

from collections.abc import Sequence

from reportlab.lib.colors import Color
from reportlab.platypus import Flowable, KeepTogether, Spacer, Table

import node
from node.domain.finding import Finding
from node.domain.model_facts import ModelFigure
from node.domain.report import Report
from node.domain.segmentation import Lesion
from node.domain.volume import Volume
from node.language import Words
from node.report.paper.drawings import CloudPlot, ReasonBars
from node.report.paper.identity import Identity
from node.report.paper.tables import (
    NONE,
    assessment_ink,
    change_table,
    lesion_table,
    tell_probability,
)
from node.report.paper.text import (
    AMBER,
    AMBER_GROUND,
    GROUND,
    HUGE,
    INK,
    LARGE,
    QUIET,
    SMALL,
    Heading,
    TextBlock,
    table_style,
)
from node.report.phrases import tell_assessment, tell_code, tell_count

WIDTH = 523.0
"""Of what is written, in points; A4 without its margins."""

_EXPLAINED = 3
"""Lesions whose reasons are shown."""
_LIMITATIONS = 4
"""Consequences of missing images that are told; the structured report has all."""
_LISTED = 4
"""Lesions that are told in the conclusion."""


def identity_section(identity: Identity, words: Words) -> list[Flowable]:
    """Tell whom and what the report is about."""
    pairs = [
        (words.gettext("Patient"), identity.name),
        (words.gettext("Study date"), identity.study_date),
        (words.gettext("Patient ID"), identity.patient_id),
        (words.gettext("Accession number"), identity.accession_number),
        (words.gettext("Birth date"), identity.birth_date),
        (words.gettext("Study"), identity.study),
        (words.gettext("Sex"), identity.sex),
        (words.gettext("Series"), identity.series),
    ]
    cells = [
        cell
        for name, value in pairs
        for cell in (TextBlock(name, colour=QUIET), TextBlock(value or NONE))
    ]
    rows = [cells[start : start + 4] for start in range(0, len(cells), 4)]
    table = Table(rows, colWidths=(70, 180, 84, WIDTH - 334))
    table.setStyle(table_style(*_tight(0.8), ("BACKGROUND", (0, 0), (-1, -1), GROUND)))
    return [table, Spacer(1, 7)]


def conclusion_section(report: Report, volume: Volume, words: Words) -> list[Flowable]:
    """Tell what was found, and in what."""
    findings = {finding.lesion_number: finding for finding in report.findings}
    lesions = sorted(report.segmentation.lesions, key=lambda each: -each.volume_ml)
    told: list[Flowable] = [TextBlock(tell_count(report, words), size=HUGE, bold=True)]
    for lesion in lesions[:_LISTED]:
        finding = findings.get(lesion.number)
        if finding is not None:
            told.append(_tell_lesion(lesion, finding, words))
    if report.triage.is_flagged:
        raised = words.pgettext("between phrases", ", ").join(
            words.gettext(
                "%(flag)s (lesion %(number)s)",
                flag=words.retell(each.flag),
                number=each.lesion_number,
            )
            for each in report.triage.raised
        )
        flagged = words.gettext("Flagged, to be looked at first: %(flags)s", flags=raised)
        told.append(TextBlock(flagged, bold=True))
    if not lesions:
        told.append(TextBlock(words.gettext("That does not rule out that there is one.")))
    told.append(TextBlock(tell_evaluated(report, volume, words), colour=QUIET))
    section: list[Flowable] = [_box(told, GROUND)]
    if report.completeness.is_partial:
        section = [*_warn_partial(report, words), Spacer(1, 4), *section]
    return [*section, Spacer(1, 7)]


def tell_evaluated(report: Report, volume: Volume, words: Words) -> str:
    """Say what was looked at."""
    slices, rows, columns = report.segmentation.geometry.shape
    thickness_mm, row_mm, column_mm = report.segmentation.geometry.spacing_mm
    return words.gettext(
        "Looked for %(what)s (%(where)s) in %(slices)s %(modality)s slices of %(columns)s × "
        "%(rows)s pixels, voxels of %(voxel)s mm.",
        what=tell_code(report.model.finding_type, words),
        where=tell_code(report.model.anatomic_region, words),
        slices=slices,
        modality=volume.modality,
        columns=columns,
        rows=rows,
        voxel=f"{column_mm:.2f} × {row_mm:.2f} × {thickness_mm:.2f}",
    )


def lesion_section(report: Report, shown: int, words: Words) -> list[Flowable]:
    """Give the measurements of the lesions."""
    lesions = report.segmentation.lesions
    if not lesions:
        return []
    section = [Heading(words.gettext("Lesions")), lesion_table(report, lesions[:shown], words)]
    rest = lesions[shown:]
    if rest:
        told = words.gettext(
            "and %(more)s more, together %(volume)s ml: see the structured report",
            more=len(rest),
            volume=f"{sum(lesion.volume_ml for lesion in rest):.2f}",
        )
        section.append(TextBlock(told, size=SMALL, colour=QUIET))
    return section


def change_section(report: Report, shown: int, words: Words) -> list[Flowable]:
    """Tell what became of the lesions since an earlier examination, where there is one."""
    comparison = report.comparison
    if comparison is None:
        return []
    date = comparison.prior.study_date
    title = words.gettext(
        "Change since %(date)s", date=words.date(date) if date else words.gettext("unknown date")
    )
    if comparison.interval_days is not None:
        days = words.ngettext("%(n)s day", "%(n)s days", comparison.interval_days)
        title = words.gettext("%(title)s (%(days)s)", title=title, days=days)
    notes = [
        words.gettext(
            "Response: %(category)s. %(rule)s",
            category=words.retell(str(comparison.recist.category)),
            rule=words.retell(comparison.recist.rule),
        ),
        *map(words.retell, comparison.remarks[:shown]),
        _tell_more(len(comparison.remarks) - shown, words),
    ]
    more = len(comparison.changes) - shown
    if more > 0:
        left_out = words.gettext("and %(more)s more: see the structured report", more=more)
        notes.insert(0, left_out)
    return [
        Heading(title),
        change_table(comparison, comparison.changes[:shown], words),
        Spacer(1, 3),
        *(TextBlock(note, size=SMALL, space_after=1) for note in notes if note),
    ]


def reason_section(report: Report, words: Words) -> list[Flowable]:
    """Show why the classifier says so, and where the lesions lie among those of the training."""
    explained = [finding for finding in report.findings if finding.contributions][:_EXPLAINED]
    cloud = report.cloud if report.cloud is not None and report.cloud.places else None
    if not explained and cloud is None:
        return []
    largest = max(
        (abs(value) for finding in explained for value in finding.contributions.values()),
        default=0.0,
    )
    left: list[Flowable] = [
        ReasonBars(_title_of(finding, words), finding.contributions, largest, words)
        for finding in explained
    ]
    if explained:
        note = words.gettext(
            "Bars: change in the log odds of malignancy that the feature's value makes, against "
            "the median training lesion; to the right it speaks for malignant."
        )
        left.append(TextBlock(note, size=SMALL, colour=QUIET))
    right: list[Flowable] = []
    if cloud is not None:
        note = words.gettext(
            "Numbered: the lesions of this case among the %(count)s training lesions, by the "
            "first two principal components (PCA) of %(features)s radiomics features.",
            count=len(cloud.labels),
            features=cloud.feature_count,
        )
        right = [CloudPlot(cloud, words), TextBlock(note, size=SMALL, colour=QUIET)]
    table = Table([[left or "", right or ""]], colWidths=(WIDTH * 0.56, WIDTH * 0.44))
    table.setStyle(
        table_style(
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LEFTPADDING", (0, 0), (-1, -1), 0),
            ("RIGHTPADDING", (0, 0), (0, 0), 14),
            ("RIGHTPADDING", (1, 0), (1, 0), 0),
        )
    )
    return [KeepTogether([Heading(words.gettext("Reasons of the classifier")), table])]


def reliability_section(report: Report, shown: int, words: Words) -> list[Flowable]:
    """Tell how far the result can be relied on: this case, and the model on test patients."""
    told = [words.retell(remark) for remark in report.remarks]
    if report.cloud is not None:
        for number, place in report.cloud.places.items():
            told.append(
                words.gettext(
                    "Lesion %(number)s: distance %(distance)s to the nearest training lesion, in "
                    "scaled features.",
                    number=number,
                    distance=f"{place.distance:.2f}",
                )
            )
    section: list[Flowable] = [Heading(words.gettext("Reliability"))]
    section += [TextBlock(f"• {text}", space_after=1) for text in told[:shown]]
    more = _tell_more(len(told) - shown, words)
    if more:
        section.append(TextBlock(f"• {more}", colour=QUIET))
    if report.figures:
        section += [Spacer(1, 3), _figures_table(report, words)]
    return [KeepTogether(section)] if len(section) > 1 else []


def model_section(report: Report, objects: Sequence[str], words: Words) -> list[Flowable]:
    """Tell limitations, model and version."""
    model = report.model
    pairs = [
        (words.gettext("Model"), f"{model.name} {model.version} ({model.manufacturer})"),
        (words.gettext("Checksum"), f"SHA-256 {model.digest}"),
        (words.gettext("Network"), model.segmenter_name),
        (words.gettext("Classifier"), model.classifier_name or words.gettext("none")),
        (words.gettext("Software"), f"OncoNode {node.__version__}"),
        (words.gettext("Objects"), "  ".join(objects)),
    ]
    table = Table(
        [
            [TextBlock(name, size=SMALL, colour=QUIET), TextBlock(value, size=SMALL)]
            for name, value in pairs
        ],
        colWidths=(70, WIDTH - 70),
    )
    table.setStyle(table_style(*_tight(0.5)))
    return [
        KeepTogether(
            [
                Heading(words.gettext("Limitations")),
                TextBlock(words.retell(model.limitations), space_after=3),
                TextBlock(
                    words.gettext(
                        "Made by a program for research, not verified by a person. It takes the "
                        "place of no reading, and nothing in it may be used for diagnosis or "
                        "treatment."
                    ),
                    bold=True,
                ),
            ]
        ),
        KeepTogether([Heading(words.gettext("Model and version")), table]),
    ]


def _tell_lesion(lesion: Lesion, finding: Finding, words: Words) -> Flowable:
    told = words.gettext(
        "%(lesion)s, %(volume)s ml: %(assessment)s",
        lesion=words.gettext("Lesion %(number)s", number=lesion.number),
        volume=f"{lesion.volume_ml:.1f}",
        assessment=tell_assessment(finding, words),
    )
    if finding.malignancy_probability is None:
        told = words.gettext("%(told)s, probability not evaluable", told=told)
    else:
        percent = f"{100 * finding.malignancy_probability:.0f}"
        share = words.gettext("P(malignant) %(percent)s %%", percent=percent)
        told = words.gettext("%(told)s, %(share)s", told=told, share=share)
    return TextBlock(told, size=LARGE, colour=assessment_ink(finding))


def _warn_partial(report: Report, words: Words) -> list[Flowable]:
    arrival = words.retell(str(report.completeness))
    headline = words.gettext("PARTIAL - %(arrival)s", arrival=arrival)
    told: list[Flowable] = [TextBlock(headline, size=LARGE, colour=AMBER, bold=True)]
    limitations = report.completeness.limitations
    told += [TextBlock(words.retell(text), colour=AMBER) for text in limitations[:_LIMITATIONS]]
    more = _tell_more(len(limitations) - _LIMITATIONS, words)
    if more:
        told.append(TextBlock(more, colour=AMBER))
    return [_box(told, AMBER_GROUND)]


def _tell_more(more: int, words: Words) -> str:
    """Say how many remarks had no room; nothing where all had."""
    if more <= 0:
        return ""
    return words.gettext("further remarks (%(more)s): see the structured report", more=more)


def _title_of(finding: Finding, words: Words) -> str:
    name = words.gettext("Lesion %(number)s", number=finding.lesion_number)
    return words.gettext(
        "%(lesion)s: %(assessment)s, %(probability)s",
        lesion=name,
        assessment=tell_assessment(finding, words),
        probability=tell_probability(finding),
    )


def _figures_table(report: Report, words: Words) -> Flowable:
    names = {
        "dice": words.gettext("Overlap with the reference (Dice)"),
        "detection": words.gettext("Lesions or slices with a lesion detected"),
        "auc": words.gettext("Malignant against benign: AUC"),
        "sensitivity": words.gettext("Sensitivity for malignant"),
        "specificity": words.gettext("Specificity for malignant"),
        "decided": words.gettext("Share that is not left indeterminate"),
    }
    head = [
        words.gettext("On test patients"),
        words.gettext("Value"),
        words.gettext("95 % interval"),
        words.gettext("Patients"),
    ]
    rows = [[TextBlock(text, size=SMALL, colour=QUIET) for text in head]]
    rows += [
        [TextBlock(text, size=SMALL) for text in (names[name], *_tell_figure(figure))]
        for name, figure in report.figures.items()
        if name in names
    ]
    table = Table(rows, colWidths=(230, 70, 100, 123))
    table.setStyle(table_style(*_tight(0.6), ("BACKGROUND", (0, 0), (-1, 0), GROUND)))
    return table


def _tell_figure(figure: ModelFigure) -> tuple[str, str, str]:
    interval = f"{figure.low:.2f} – {figure.high:.2f}"
    return f"{figure.value:.2f}", interval, str(figure.patients)


def _box(told: list[Flowable], ground: Color) -> Flowable:
    box = Table([[told]], colWidths=(WIDTH,))
    box.setStyle(
        table_style(
            ("BACKGROUND", (0, 0), (-1, -1), ground),
            ("LINEBEFORE", (0, 0), (0, -1), 3, AMBER if ground == AMBER_GROUND else INK),
            ("LEFTPADDING", (0, 0), (-1, -1), 9),
            ("TOPPADDING", (0, 0), (-1, -1), 4),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 5),
        )
    )
    return box


def _tight(padding: float) -> list[tuple[object, ...]]:
    return [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LEFTPADDING", (0, 0), (-1, -1), 5),
        ("RIGHTPADDING", (0, 0), (-1, -1), 5),
        ("TOPPADDING", (0, 0), (-1, -1), padding),
        ("BOTTOMPADDING", (0, 0), (-1, -1), padding + 0.6),
    ]
