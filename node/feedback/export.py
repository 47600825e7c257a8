"""Corrected outlines as a folder that training reads (``dataset: folders``).

One object of each result is exported: that of the latest outline, since several would contradict
each other. Training takes what is not outlined for healthy, so the manifest names the lesions of
the node that the object says nothing of.
"""

import csv
import json
import re
import shutil
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from node.domain.errors import SetupFault
from node.domain.feedback import Feedback, FeedbackAspect, FeedbackKind, Voice
from node.domain.finding import BENIGN, MALIGNANT

DATASET, TABLE, MANIFEST = "dataset.yaml", "cases.csv", "manifest.json"
BETWEEN_REGIONS = re.compile(r", (?=\d+(?: |$))")
"""In the text of several regions, of which each begins with its number; a name may have commas."""
WARNING = (
    "Not de-identified: images and objects hold patient data. Opinions are no ground truth: look "
    "at each case before training with it."
)


@dataclass(frozen=True, kw_only=True)
class ImageSeries:
    """A series that a result was made of.

    Parameters
    ----------
    role : str
    description : str
        SeriesDescription.
    modality : str
    paths : tuple of Path
    """

    role: str
    description: str
    modality: str
    paths: tuple[Path, ...]


@dataclass(frozen=True, kw_only=True)
class Material:
    """What is at hand for a result.

    Parameters
    ----------
    patient_id : str
    series : tuple of ImageSeries
        The reference first.
    tracking_uids : tuple of str
        Of the lesions that the node had found.
    """

    patient_id: str
    series: tuple[ImageSeries, ...]
    tracking_uids: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What was written.

    Parameters
    ----------
    job_ids : tuple of str
        One for each case.
    left_out : mapping of str to str
        SOP Instance UID of an object -> why it is not there.
    incomplete : int
        Cases whose object says nothing of some lesion that the node had found.
    """

    job_ids: tuple[str, ...]
    left_out: Mapping[str, str]
    incomplete: int


def export_outlines(
    feedback: Sequence[Feedback],
    out: Path,
    *,
    material_of: Callable[[str], Material | None],
    object_path: Callable[[str], Path],
    at: datetime,
) -> Exported:
    """Write the current outlines of people, with their images, to a new folder.

    Parameters
    ----------
    feedback : sequence of Feedback
        What may go; only current opinions of people count.
    out : Path
        Must not exist, or be empty.
    material_of : callable
        Job id -> what is at hand; None where the images are gone.
    object_path : callable
        SOP Instance UID -> the kept copy of an object.
    at : datetime
        Of the export, for the manifest.

    Raises
    ------
    SetupFault
        If the folder holds something, or the cases are of several modalities.
    """
    if out.exists() and any(out.iterdir()):
        raise SetupFault(f"{out} is not empty")
    said = [each for each in feedback if each.is_current and each.opinion.voice is Voice.PERSON]
    chosen, left_out = _choose(said, object_path)
    entries: list[dict[str, Any]] = []
    roles: dict[str, set[str]] = defaultdict(set)
    modalities: set[str] = set()
    classes: dict[str, set[bool]] = defaultdict(set)
    for job_id, (uid, opinions) in chosen.items():
        material = material_of(job_id)
        if material is None:
            left_out[uid] = "its images are not here any more: fetch the study, and export again"
            continue
        folder = out / f"case-{len(entries) + 1:04d}"
        (folder / "labels").mkdir(parents=True)
        shutil.copyfile(object_path(uid), folder / "labels" / f"{uid}.dcm")
        for number, series in enumerate(material.series):
            _copy(series.paths, folder / f"{number}-{series.role}")
            roles[series.role].add(series.description)
            modalities.add(series.modality)
        classes[material.patient_id] |= _classes(said, job_id)
        outlined = {each.opinion.tracking_uid for each in opinions}
        entries.append(
            {
                "folder": folder.name,
                "job_id": job_id,
                "object": uid,
                "lesions_not_outlined": [
                    each for each in material.tracking_uids if each not in outlined
                ],
                "opinions": [_tell(each) for each in said if each.opinion.job_id == job_id],
            }
        )
    if len(modalities) > 1:
        shutil.rmtree(out)
        raise SetupFault(f"cases of {', '.join(sorted(modalities))}: export them by --bundle")
    if entries:
        labels = {name for _, opinions in chosen.values() for name in _names(opinions)}
        _write_description(out, roles, labels, modalities.pop(), classes)
        manifest = {
            "exported_at": at.isoformat(),
            "warning": WARNING,
            "cases": entries,
            "left_out": left_out,
        }
        (out / MANIFEST).write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")
    return Exported(
        job_ids=tuple(entry["job_id"] for entry in entries),
        left_out=left_out,
        incomplete=sum(bool(entry["lesions_not_outlined"]) for entry in entries),
    )


Chosen = dict[str, tuple[str, list[Feedback]]]


def _choose(
    said: Sequence[Feedback], object_path: Callable[[str], Path]
) -> tuple[Chosen, dict[str, str]]:
    """Choose the object of the latest outline of each result."""
    by_job: dict[str, dict[str, list[Feedback]]] = defaultdict(lambda: defaultdict(list))
    for each in said:
        if each.opinion.aspect is FeedbackAspect.OUTLINE:
            by_job[each.opinion.job_id][each.opinion.sop_instance_uid].append(each)
    chosen: Chosen = {}
    left_out: dict[str, str] = {}
    for job_id, objects in by_job.items():
        there = {uid: found for uid, found in objects.items() if object_path(uid).is_file()}
        left_out |= dict.fromkeys(objects.keys() - there.keys(), "its copy is gone")
        if not there:
            continue
        latest = max(there, key=lambda uid: max(_order(each) for each in there[uid]))
        chosen[job_id] = latest, there[latest]
        left_out |= dict.fromkeys(there.keys() - {latest}, f"a later one is exported: {latest}")
    return chosen, left_out


def _order(each: Feedback) -> tuple[datetime, int]:
    return each.opinion.at, each.feedback_id


def _names(opinions: Sequence[Feedback]) -> set[str]:
    """Names of regions without their numbers, which stand first."""
    regions = [part for each in opinions for part in BETWEEN_REGIONS.split(each.opinion.region)]
    return {region.partition(" ")[2] for region in regions}


def _classes(said: Sequence[Feedback], job_id: str) -> set[bool]:
    """What people call the lesions of a result: malignant, or not."""
    known = {MALIGNANT.meaning: True, BENIGN.meaning: False}
    found = set()
    for each in said:
        opinion = each.opinion
        if opinion.job_id != job_id or opinion.aspect is not FeedbackAspect.ASSESSMENT:
            continue
        name = opinion.class_after
        if not name and opinion.kind is FeedbackKind.AGREE:
            name = opinion.class_before
        if name in known:
            found.add(known[name])
    return found


def _copy(paths: Sequence[Path], folder: Path) -> None:
    folder.mkdir()
    for path in paths:
        shutil.copyfile(path, folder / path.name)


def _tell(each: Feedback) -> dict[str, Any]:
    told = {**asdict(each), **asdict(each)["opinion"]}
    del told["opinion"]
    return {key: _plain(value) for key, value in told.items()}


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _write_description(
    out: Path,
    roles: Mapping[str, set[str]],
    labels: set[str],
    modality: str,
    classes: Mapping[str, set[bool]],
) -> None:
    description: dict[str, Any] = {
        "kind": "dicom",
        "modality": modality,
        "roles": {role: {"series_description": sorted(names)} for role, names in roles.items()},
        "labels": sorted(labels) or ["*"],
    }
    if any(classes.values()):
        description["table"] = {"file": TABLE, "key": "patient_id", "malignant": "malignant"}
        with (out / TABLE).open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["patient_id", "malignant"])
            for patient, found in sorted(classes.items()):
                # several lesions of one patient may differ: the question stays open then
                writer.writerow([patient, str(int(found.pop())) if len(found) == 1 else ""])
    (out / DATASET).write_text(
        f"# {WARNING}\n" + yaml.safe_dump(description, sort_keys=False, allow_unicode=True)
    )
