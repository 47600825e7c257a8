"""ORU^R01 of HL7 v2.5.1: an unsolicited result for a RIS.

Texts are escaped here, once, and assigned as encoded fields: assigned as plain text they would be
split at their own ``^`` and ``&``.

References
----------
HL7 v2.5.1 chapter 2.7 (escape sequences), 2.15.9 (MSH), 3.4.2 (PID), 4.5.3 (OBR), 7.3.1 (ORU^R01),
7.4.2 (OBX); tables 0078 (abnormal flags), 0085 (status), 0211 (character sets), 0465 (names).
"""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import groupby

from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.core import Group, Message, Segment
from hl7apy.exceptions import HL7apyException
from hl7apy.parser import parse_message

from node.domain.code import Code
from node.report.fault import ReportFault
from node.report.messages.about import Issuer, Number, StudyAbout
from node.report.messages.content import CONCLUSION, REASON, Statement, Told

VERSION = "2.5.1"
SENDER = "ONCONODE"
PRELIMINARY = "P"
COMMENT_SOURCE = "L"  # table 0105: the filler
NAME_REPRESENTATIONS = {"alphabetic": "A", "ideographic": "I", "phonetic": "P"}
ESCAPES = {"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\"}
LONG_TEXTS = frozenset({CONCLUSION, REASON})
"""Told as TX: an ST ends after 199 characters."""
NULL = '""'
"""Where a required field has no value (chapter 2.5.3)."""
ID_LENGTH = 20
"""Of MSH-10 and of numbers of orders: what the oldest receivers take."""


def build_oru(told: Told, *, at: datetime) -> str:
    """Return the message, segments ended by carriage returns.

    Parameters
    ----------
    told : Told
    at : datetime
        When the result was made, aware. MSH-7 and OBR-22 have it; the control id does not depend
        on it, so that the same result has the same id.

    Raises
    ------
    ReportFault
        If it is not valid.
    """
    message = Message("ORU_R01", version=VERSION, validation_level=VALIDATION_LEVEL.STRICT)
    try:
        _fill_header(message)
        result = message.add_group("ORU_R01_PATIENT_RESULT")
        _fill_patient(result, told.about)
        _fill_order(result.add_group("ORU_R01_ORDER_OBSERVATION"), told)
        text = message.to_er7()
        digest = hashlib.sha256(text.encode()).hexdigest()
        message.msh.msh_10 = digest[:ID_LENGTH].upper()
        moment = f"{at.astimezone(UTC):%Y%m%d%H%M%S}+0000"
        message.msh.msh_7 = moment
        order = message.oru_r01_patient_result.oru_r01_order_observation
        order.obr.obr_22 = moment
        message.validate()
        text = str(message.to_er7())
        parse_message(text, validation_level=VALIDATION_LEVEL.STRICT).validate()
    except (HL7apyException, ValueError) as error:  # of dates it raises the latter
        raise ReportFault(f"the HL7 message is not valid: {error}") from error
    return text if text.endswith("\r") else text + "\r"


def control_id_of(text: str) -> str:
    """Return MSH-10 of an encoded message; empty if it has none."""
    fields = text.partition("\r")[0].split("|")
    return fields[9] if len(fields) > 9 else ""


def escape(text: str) -> str:
    """Encode text for a field: delimiters escaped, and one blank for what cannot be seen.

    So no text can hold what ends a segment, or a frame of MLLP.
    """
    seen = "".join(sign if sign.isprintable() else " " for sign in text)
    return "".join(ESCAPES.get(sign, sign) for sign in " ".join(seen.split()))


def _fill_header(message: Message) -> None:
    header = message.msh
    header.msh_3 = SENDER
    header.msh_7 = "19000101000000+0000"  # takes part in the control id; replaced afterwards
    header.msh_9 = "ORU^R01^ORU_R01"
    header.msh_10 = "0"
    header.msh_11 = "P"
    header.msh_18 = "UNICODE UTF-8"


def _fill_patient(result: Group, about: StudyAbout) -> None:
    patient = result.add_group("ORU_R01_PATIENT").add_segment("PID")
    patient.pid_1 = "1"
    number = about.patient_id
    known = _join(escape(number.value), "", "", _hd(number.issuer))
    patient.pid_3 = known if number.value else NULL  # an issuer alone would name nothing
    for group, parts in about.names.items():
        family, given, middle, prefix, suffix = (*parts, "", "", "", "", "")[:5]
        order = (family, given, middle, suffix, prefix)  # XPN has them the other way round
        patient.add_field("pid_5").value = _join(
            *map(escape, order), "", "L", NAME_REPRESENTATIONS[group]
        )
    if not about.names:
        patient.pid_5 = _join("", "", "", "", "", "", "U")
    if about.birth_date:
        patient.pid_7 = about.birth_date
    if about.sex:
        patient.pid_8 = about.sex


def _fill_order(order: Group, told: Told) -> None:
    about = told.about
    filler = _join(filler_number(told), SENDER)
    control = order.add_segment("ORC")
    control.orc_1 = "RE"
    request = order.add_segment("OBR")
    request.obr_1 = "1"
    if about.placer_order.value:
        control.orc_2 = request.obr_2 = _ei(about.placer_order)
    control.orc_3 = request.obr_3 = filler
    request.obr_4 = _ce(told.procedure)
    moment = _moment(about)
    if moment:
        request.obr_7 = moment
    if about.accession.value:
        request.obr_18 = escape(about.accession.value)
    request.obr_22 = "19000101000000+0000"
    request.obr_24 = "RAD"
    request.obr_25 = PRELIMINARY
    if about.placer_order.value or about.filler_order.value:
        parents = (about.placer_order, about.filler_order)
        request.obr_29 = "^".join(_ei(each).replace("^", "&") for each in parents)
    for number, note in enumerate(told.notes, 1):
        comment = order.add_segment("NTE")
        comment.nte_1 = str(number)
        comment.nte_2 = COMMENT_SOURCE
        comment.nte_3 = escape(note)
    for place, (sub_id, statements) in enumerate(_lines(told), 1):
        observed = order.add_group("ORU_R01_OBSERVATION")
        _fill_observation(observed.add_segment("OBX"), place, sub_id, statements)


def _lines(told: Told) -> Iterator[tuple[str, list[Statement]]]:
    """Yield sub-id and what is said under one code; the study has no sub-id, a lesion its number.

    A receiver keeps one OBX for each OBX-3 and OBX-4: several values of one code are repetitions.
    """
    everything = [("", told.statements)]
    everything += [(str(group.number), group.statements) for group in told.groups]
    for sub_id, statements in everything:
        for _, same in groupby(statements, key=lambda statement: statement.code):
            yield sub_id, list(same)


def _fill_observation(line: Segment, place: int, sub_id: str, same: list[Statement]) -> None:
    first = same[0]
    line.obx_1 = str(place)
    line.obx_2 = _value_type(first)
    line.obx_3 = _ce(first.code)
    if sub_id:
        line.obx_4 = sub_id
    for statement in same:
        line.add_field("obx_5").value = _encode(statement.value)
    if first.unit is not None:
        line.obx_6 = _ce(first.unit)
    if any(statement.is_abnormal for statement in same):
        line.obx_8 = "A"
    line.obx_11 = PRELIMINARY


def _value_type(statement: Statement) -> str:
    if isinstance(statement.value, Code):
        return "CWE"
    if isinstance(statement.value, float):
        return "NM"
    return "TX" if statement.code in LONG_TEXTS else "ST"


def _encode(value: float | Code | str) -> str:
    if isinstance(value, Code):
        return _ce(value)
    return f"{value:.10g}" if isinstance(value, float) else escape(value)


def filler_number(told: Told) -> str:
    """Return the node's number of the result; the same when the study is evaluated again."""
    return hashlib.sha256(told.result_uid.encode()).hexdigest()[:ID_LENGTH].upper()


def _moment(about: StudyAbout) -> str:
    if about.study_moment is not None:
        zone = f"{about.study_moment:%z}" if about.study_moment.tzinfo else ""
        return f"{about.study_moment:%Y%m%d%H%M%S}{zone}"
    return f"{about.study_date:%Y%m%d}" if about.study_date else ""


def _ce(code: Code) -> str:
    return _join(escape(code.value), escape(code.meaning), escape(code.scheme))


def _ei(number: Number) -> str:
    issuer = number.issuer
    parts = (number.value, issuer.namespace, issuer.universal_id, issuer.universal_type)
    return _join(*map(escape, parts))


def _hd(issuer: Issuer) -> str:
    parts = (issuer.namespace, issuer.universal_id, issuer.universal_type)
    return "&".join(map(escape, parts)).rstrip("&")


def _join(*components: str) -> str:
    return "^".join(components).rstrip("^")
