"""Which SEG or RTSTRUCT object belongs to which series, and which series plays which role."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import structlog
from pydicom import dcmread

from node.assemble.own import is_own
from node.assemble.validate import SOP_CLASSES
from node.domain.errors import InputRejected, Problem
from node.domain.study import Series, Study
from node.training.datasets.description import DicomDescription, RoleDescription
from node.training.datasets.label_objects import MODALITIES, LabelObject, read_label_object
from node.training.datasets.read_set import fault

log = structlog.get_logger()
LeftOut = dict[str, tuple[Problem, ...]]


@dataclass(frozen=True, kw_only=True)
class PatientObjects:
    """What a folder holds of one patient.

    Parameters
    ----------
    name : str
    images : tuple of Series
        Of the modality that is wanted.
    objects : tuple of LabelObject
    series_uids : frozenset of str
        Of all series, also those of no interest.
    """

    name: str
    images: tuple[Series, ...]
    objects: tuple[LabelObject, ...]
    series_uids: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class OutlinedSeries:
    """A series and the objects that outline lesions on it.

    Parameters
    ----------
    name : str
        Of the case: the patient, with the series' UID if the patient has several.
    patient : PatientObjects
    series : Series
    objects : tuple of LabelObject
    """

    name: str
    patient: PatientObjects
    series: Series
    objects: tuple[LabelObject, ...]


def sort_by_patient(
    studies: Sequence[Study],
    description: DicomDescription,
    left_out: LeftOut,
) -> list[PatientObjects]:
    """Sort the series of all studies by patient."""
    images: dict[str, list[Series]] = defaultdict(list)
    objects: dict[str, list[LabelObject]] = defaultdict(list)
    uids: dict[str, set[str]] = defaultdict(set)
    for study in studies:
        name = _patient_name(study, description.patient)
        if not name:
            left_out[study.study_instance_uid] = (
                fault(
                    "no-patient",
                    study.study_instance_uid,
                    found="no Patient ID, or one that `patient` does not fit",
                    expected="the patient, so that no patient stands on two sides of a split",
                ),
            )
            continue
        uids[name].update(series.series_instance_uid for series in study.series)
        for series in study.series:
            if series.modality in MODALITIES:
                for instance in series.instances:
                    if is_own(series):
                        left_out[instance.sop_instance_uid] = (_own_result(name),)
                        continue
                    try:
                        found = read_label_object(instance, modality=series.modality)
                    except InputRejected as rejected:
                        left_out[instance.sop_instance_uid] = rejected.problems
                        continue
                    objects[name].append(found)
            elif _is_image(series, description.modality):
                images[name].append(series)
    return [
        PatientObjects(
            name=name,
            images=tuple(images[name]),
            objects=tuple(objects[name]),
            series_uids=frozenset(uids[name]),
        )
        for name in sorted(images.keys() | objects.keys())
    ]


def _own_result(patient: str) -> Problem:
    return fault(
        "own-result",
        patient,
        found="a segmentation that this node made",
        expected="outlines drawn or approved by a person",
        remedy="export the approved outlines under the name of the tool that approved them",
    )


def _patient_name(study: Study, pattern: str) -> str:
    header = dcmread(
        study.series[0].instances[0].path, stop_before_pixels=True, specific_tags=["PatientID"]
    )
    name = str(header.get("PatientID") or "").strip()
    if not pattern:
        return name
    found = re.search(pattern, name)
    return found.group(1) if found else ""


def _is_image(series: Series, modality: str) -> bool:
    image_type = series.attributes.get("ImageType", "").upper().split("\\")
    return (
        series.modality == modality
        and series.instances[0].sop_class_uid in SOP_CLASSES
        and "LOCALIZER" not in image_type
    )


def bind_objects(
    patient: PatientObjects, description: DicomDescription, left_out: LeftOut
) -> list[OutlinedSeries]:
    """Bind the objects of a patient to series.

    Parameters
    ----------
    patient : PatientObjects
    description : DicomDescription
    left_out : dict
        Receives what could not be bound, and studies in which nothing is outlined.
    """
    bound: dict[str, list[LabelObject]] = defaultdict(list)
    images = {series.series_instance_uid: series for series in patient.images}
    for item in patient.objects:
        if _is_about_others(item, patient):
            log.info("label.of-other-series", modality=item.modality, uid=item.sop_instance_uid)
            continue
        try:
            target = _target_of(item, patient, description)
        except InputRejected as rejected:
            left_out[f"{patient.name}/{item.sop_instance_uid}"] = rejected.problems
            continue
        bound[target.series_instance_uid].append(item)
    outlined_studies = {images[uid].study_instance_uid for uid in bound}
    for series in patient.images:
        if series.series_instance_uid in bound:
            continue
        if series.study_instance_uid in outlined_studies:
            log.info("series.not-outlined", uid=series.series_instance_uid)
        elif any(plays(series, role) for role in description.roles.values()):
            name = f"{patient.name}/{series.study_instance_uid}"
            left_out[name] = (
                fault("missing-mask", name, found="no object outlines it", expected="one"),
            )
    return [
        OutlinedSeries(
            name=patient.name if len(bound) == 1 else f"{patient.name}/{uid}",
            patient=patient,
            series=images[uid],
            objects=tuple(bound[uid]),
        )
        for uid in sorted(bound)
    ]


def _is_about_others(item: LabelObject, patient: PatientObjects) -> bool:
    """Tell whether an object outlines series that are here, but not of the wanted modality."""
    here = patient.series_uids.intersection(item.series_uids)
    return bool(here) and not here & {series.series_instance_uid for series in patient.images}


def _target_of(item: LabelObject, patient: PatientObjects, description: DicomDescription) -> Series:
    """Find the series that an object outlines.

    Raises
    ------
    InputRejected
        If none of its labels is wanted, or there is no such series, or several.
    """
    if not item.select(description.labels):
        raise InputRejected(
            [
                fault(
                    "no-such-label",
                    patient.name,
                    found=", ".join(item.names[:20]) or "no label",
                    expected=f"a label like {', '.join(description.labels)}",
                    remedy="correct `labels` in dataset.yaml",
                )
            ]
        )
    candidates = [s for s in patient.images if s.series_instance_uid in item.series_uids]
    if not candidates:
        candidates = [
            series
            for series in patient.images
            if series.attributes.get("FrameOfReferenceUID", "") in item.frame_of_reference_uids
            and any(plays(series, role) for role in description.roles.values())
        ]
    if len(candidates) == 1:
        return candidates[0]
    raise InputRejected(
        [
            fault(
                "several-candidates" if candidates else "missing-image",
                patient.name,
                found=f"{len(candidates)} {description.modality} series for {item.modality} "
                f"{item.sop_instance_uid}",
                expected="the series that it outlines",
                remedy="make the roles narrower" if candidates else "add the series, or leave it",
            )
        ]
    )


def plays(series: Series, role: RoleDescription) -> bool:
    """Tell whether a series fits the patterns of a role."""
    text = series.attributes.get("SeriesDescription", "").strip().casefold()

    def fits(patterns: Sequence[str]) -> bool:
        return any(fnmatchcase(text, p.casefold().replace("[", "[[]")) for p in patterns)

    wanted = not role.series_description or fits(role.series_description)
    return wanted and not fits(role.not_series_description)


def choose_roles(
    outlined: OutlinedSeries, roles: Mapping[str, RoleDescription]
) -> dict[str, Series]:
    """Choose one series for each role: the outlined one where it fits, else of its study.

    Raises
    ------
    InputRejected
        If a role has no series, or several.
    """
    target = outlined.series
    chosen: dict[str, Series] = {}
    problems = []
    for role, wanted in roles.items():
        if target not in chosen.values() and plays(target, wanted):
            chosen[role] = target
            continue
        fitting = [
            series
            for series in outlined.patient.images
            if series.study_instance_uid == target.study_instance_uid
            and series is not target
            and plays(series, wanted)
        ]
        if len(fitting) == 1:
            chosen[role] = fitting[0]
            continue
        problems.append(
            fault(
                "several-candidates" if fitting else "missing-image",
                outlined.name,
                found=f"{len(fitting)} series for the role {role}",
                expected="one in the study of the outlined series",
                remedy="correct the patterns of the role",
            )
        )
    if problems:
        raise InputRejected(problems)
    return chosen
