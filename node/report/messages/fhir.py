"""A transaction Bundle of FHIR R4: DiagnosticReport, Observations, ImagingStudy.

Everything of ours has an identifier that stays the same when the study is evaluated again, and is
put in place by it (conditional update); the ImagingStudy belongs to the archive and is only created
where the server has none. So a repetition doubles nothing.

The models of ``fhir.resources`` are those of R4B, whose definitions of these resources ask for the
same as R4's; ``node/adr/014-messages.md`` has the differences.

References
----------
http://hl7.org/fhir/R4/http.html#transaction, #cond-update, #ccreate; diagnosticreport.html,
observation.html, imagingstudy.html (identifiers of a study), terminologies-systems.html;
PS3.16 table 8-1 (UIDs of coding schemes).
"""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from fhir.resources.R4B.bundle import Bundle
from pydantic import ValidationError

from node.domain.code import Code
from node.domain.uid import derive_uid
from node.report.codes import PRESENCE, PRIVATE_SCHEME
from node.report.fault import ReportFault
from node.report.messages.about import Number, StudyAbout
from node.report.messages.content import CONCLUSION, STUDY_UID, Group, Statement, Told

Resource = dict[str, Any]

URI = "urn:ietf:rfc:3986"
STUDY_SYSTEM = "urn:dicom:uid"
V2_TABLES = "http://terminology.hl7.org/CodeSystem/v2-{}"
CATEGORIES = "http://terminology.hl7.org/CodeSystem/observation-category"
INTERPRETATIONS = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
DICOM_CODES = "http://dicom.nema.org/resources/ontology/DCM"
SYSTEMS: Mapping[str, str] = MappingProxyType(
    {
        "SCT": "http://snomed.info/sct",
        "DCM": DICOM_CODES,
        "LN": "http://loinc.org",
        "UCUM": "http://unitsofmeasure.org",
        "UMLS": "http://terminology.hl7.org/CodeSystem/umls",
        "IBSI": "urn:oid:1.2.840.10008.2.16.13",
        "RADLEX": "http://www.radlex.org",
        "I10": "http://hl7.org/fhir/sid/icd-10",
        "FMA": "urn:oid:2.16.840.1.113883.6.119",
        "NCIt": "urn:oid:2.16.840.1.113883.3.26.1.1",
        "ICDO3": "urn:oid:2.16.840.1.113883.6.43.1",
        "RADELEMENT": "urn:oid:1.2.840.10008.2.16.15",
        "I11": "urn:oid:1.2.840.10008.2.16.16",
        PRIVATE_SCHEME: f"urn:oid:{derive_uid('coding scheme', PRIVATE_SCHEME)}",
    }
)
"""Coding scheme designator -> URI; a code of any other scheme is told without its system."""
PRELIMINARY = "preliminary"


def build_bundle(told: Told, *, at: datetime) -> Resource:
    """Return the transaction, as JSON holds it.

    Parameters
    ----------
    told : Told
    at : datetime
        When the result was made, aware.

    Raises
    ------
    ReportFault
        If it is not valid.
    """
    imaging = _uuid(told.name("imaging study"))
    whole = _uuid(told.name("study"))
    lesions = [_uuid(told.name("lesion", group.tracking_uid)) for group in told.groups]
    report = _report(told, at, results=[whole, *lesions], imaging=imaging)
    entries = [
        _created(imaging, _imaging_study(told)),
        _put(whole, _study_observation(told, at, members=lesions)),
        *(
            _put(name, _lesion_observation(told, group, at))
            for name, group in zip(lesions, told.groups, strict=True)
        ),
        _put(_uuid(told.name("report")), report),
    ]
    bundle: Resource = {
        "resourceType": "Bundle",
        "identifier": {"system": URI, "value": f"urn:oid:{told.result_uid}"},
        "type": "transaction",
        "timestamp": _instant(at),
        "entry": entries,
    }
    try:
        Bundle.model_validate(bundle)
    except ValidationError as error:
        raise ReportFault(f"the FHIR resources are not valid: {error}") from error
    return bundle


def _report(told: Told, at: datetime, *, results: list[str], imaging: str) -> Resource:
    about = told.about
    orders = (about.placer_order, about.filler_order, about.accession)
    types = ("PLAC", "FILL", "ACSN")
    based_on = [
        {"type": "ServiceRequest", "identifier": _identifier(number, kind)}
        for number, kind in zip(orders, types, strict=True)
        if number.value
    ]
    return _without_nothing(
        {
            "resourceType": "DiagnosticReport",
            "identifier": [_own_identifier(told, "report")],
            "basedOn": based_on,
            "status": PRELIMINARY,
            "category": [_concept_of(V2_TABLES.format("0074"), "RAD", "Radiology")],
            "code": _concept(told.procedure),
            "subject": _patient(about),
            "effectiveDateTime": _effective(about),
            "issued": _instant(at),
            "result": [{"reference": name} for name in results],
            "imagingStudy": [{"reference": imaging}],
            "conclusion": " ".join((told.conclusion, *told.notes)),
        }
    )


def _study_observation(told: Told, at: datetime, *, members: list[str]) -> Resource:
    """Whether anything was found, and what is told of the study as a whole."""
    first = next(each for each in told.statements if each.code == PRESENCE)
    left_out = {PRESENCE, CONCLUSION, STUDY_UID}
    others = [each for each in told.statements if each.code not in left_out]
    return _observation(
        told,
        at,
        identifier=_own_identifier(told, "study"),
        statement=first,
        components=others,
        members=members,
    )


def _lesion_observation(told: Told, group: Group, at: datetime) -> Resource:
    """Return one Observation a lesion, what was measured as its components."""
    finding, *others = sorted(group.statements, key=lambda each: each.code.value != "121071")
    return _observation(
        told,
        at,
        identifier=_own_identifier(told, "lesion", group.tracking_uid),
        statement=finding,
        components=others,
    )


def _observation(
    told: Told,
    at: datetime,
    *,
    identifier: Resource,
    statement: Statement,
    components: list[Statement],
    members: list[str] | None = None,
) -> Resource:
    is_abnormal = any(each.is_abnormal for each in components)
    return _without_nothing(
        {
            "resourceType": "Observation",
            "identifier": [identifier],
            "status": PRELIMINARY,
            "category": [_concept_of(CATEGORIES, "imaging", "Imaging")],
            **_statement(statement),
            "subject": _patient(told.about),
            "effectiveDateTime": _effective(told.about),
            "issued": _instant(at),
            "interpretation": [_abnormal()] if is_abnormal else [],
            "note": [{"text": told.notes[0]}],
            "bodySite": _concept(told.region),
            "device": {
                "type": "Device",
                "identifier": {"system": URI, "value": f"urn:oid:{told.device_uid}"},
                "display": told.device,
            },
            "hasMember": [{"reference": name} for name in members or ()],
            "component": [_component(each) for each in components],
        }
    )


def _component(statement: Statement) -> Resource:
    marked = {"interpretation": [_abnormal()]} if statement.is_abnormal else {}
    return {**_statement(statement), **marked}


def _statement(statement: Statement) -> Resource:
    value, told = statement.value, {"code": _concept(statement.code)}
    if isinstance(value, Code):
        return {**told, "valueCodeableConcept": _concept(value)}
    if isinstance(value, str):
        return {**told, "valueString": value}
    quantity: Resource = {"value": value}
    if statement.unit is not None:
        unit = statement.unit
        quantity |= {"unit": unit.meaning, "system": SYSTEMS[unit.scheme], "code": unit.value}
    return {**told, "valueQuantity": quantity}


def _imaging_study(told: Told) -> Resource:
    about = told.about
    modality = {"system": DICOM_CODES, "code": about.modality}
    accession = _identifier(about.accession, "ACSN")
    return _without_nothing(
        {
            "resourceType": "ImagingStudy",
            "identifier": [_study_identifier(about), *([accession] if accession else [])],
            "status": "available",
            "modality": [modality],
            "subject": _patient(about),
            "started": _effective(about),
            "description": about.description,
            "series": [{"uid": about.series_instance_uid, "modality": modality}],
        }
    )


def _patient(about: StudyAbout) -> Resource:
    """Return a reference by identifier alone: who the patient is, the server knows."""
    return {
        "type": "Patient",
        "identifier": _identifier(about.patient_id, "MR") or {"value": "unknown"},
    }


def _identifier(number: Number, kind: str) -> Resource:
    issuer = number.issuer
    is_oid = issuer.universal_type == "ISO"
    is_uri = issuer.universal_type in ("URI", "URL") or issuer.universal_id.startswith("urn:")
    system = f"urn:oid:{issuer.universal_id}" if is_oid else issuer.universal_id if is_uri else ""
    if not number.value:
        return {}
    return _without_nothing(
        {
            "type": _concept_of(V2_TABLES.format("0203"), kind, ""),
            "system": system,
            "value": number.value,
            "assigner": {"display": issuer.namespace} if issuer.namespace else {},
        }
    )


def _study_identifier(about: StudyAbout) -> Resource:
    return {"system": STUDY_SYSTEM, "value": f"urn:oid:{about.study_instance_uid}"}


def _own_identifier(told: Told, *parts: str) -> Resource:
    return {"system": URI, "value": f"urn:oid:{told.name(*parts)}"}


def _created(name: str, resource: Resource) -> Resource:
    """Entry that does nothing where the server knows the first identifier."""
    request = {
        "method": "POST",
        "url": resource["resourceType"],
        "ifNoneExist": _query(resource["identifier"][0]),
    }
    return {"fullUrl": name, "resource": resource, "request": request}


def _put(name: str, resource: Resource) -> Resource:
    """Entry that takes the place of what has the first identifier."""
    kind = resource["resourceType"]
    request = {"method": "PUT", "url": f"{kind}?{_query(resource['identifier'][0])}"}
    return {"fullUrl": name, "resource": resource, "request": request}


def _query(identifier: Resource) -> str:
    return "identifier=" + quote(f"{identifier['system']}|{identifier['value']}", safe=":.")


def _concept(code: Code) -> Resource:
    return _concept_of(SYSTEMS.get(code.scheme, ""), code.value, code.meaning)


def _concept_of(system: str, code: str, display: str) -> Resource:
    coding = {"system": system, "code": code, "display": display}
    return {"coding": [_without_nothing(coding)]}


def _abnormal() -> Resource:
    return _concept_of(INTERPRETATIONS, "A", "Abnormal")


def _uuid(uid: str) -> str:
    """Return the name of an entry within the transaction; 2.25 UIDs are UUIDs."""
    return f"urn:uuid:{uuid.UUID(int=int(uid.removeprefix('2.25.')))}"


def _effective(about: StudyAbout) -> str:
    """Return when the images were made; a time only where its zone is known, as FHIR demands."""
    if about.study_moment is not None and about.study_moment.tzinfo is not None:
        return about.study_moment.isoformat()
    return about.study_date.isoformat() if about.study_date else ""


def _instant(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _without_nothing(resource: Resource) -> Resource:
    """Leave out empty values, which FHIR forbids."""
    return {key: value for key, value in resource.items() if value not in ("", [], {}, None)}
