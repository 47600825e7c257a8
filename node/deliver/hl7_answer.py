"""What a receiver of HL7 messages answers, and what it means for the outbox.

Receivers write all kinds of answers, so only what decides is read. Free text (MSA-3, ERR-8) may
hold patient data and is not kept; the receiver's own log has it under the control id.

References
----------
HL7 v2.5.1 chapter 2.9.2 (acknowledgements), 2.15.5 (ERR), 2.15.8 (MSA); tables 0008, 0357.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from node.deliver.status import Verdict

VERDICTS: Mapping[str, Verdict] = MappingProxyType(
    {
        "AA": Verdict.ACCEPTED,
        "CA": Verdict.ACCEPTED,
        "AE": Verdict.GIVE_UP,  # the message is to blame
        "CE": Verdict.GIVE_UP,
        "AR": Verdict.RETRY,  # the receiver is
        "CR": Verdict.RETRY,
    }
)
ERRORS: Mapping[str, str] = MappingProxyType(
    {
        "100": "segment sequence error",
        "101": "required field missing",
        "102": "data type error",
        "103": "table value not found",
        "200": "unsupported message type",
        "201": "unsupported event code",
        "202": "unsupported processing id",
        "203": "unsupported version id",
        "204": "unknown key identifier",
        "205": "duplicate key identifier",
        "206": "application record locked",
        "207": "application internal error",
    }
)
MENDED_BY_TIME = frozenset({"204", "206", "207"})
"""An order that the receiver has not heard of yet, a lock, an error within."""


class NoAnswer(ValueError):
    """What came is no acknowledgement of this message."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An acknowledgement.

    Parameters
    ----------
    code : str
        MSA-1.
    errors : tuple of str
        ERR-3, or ERR-1.4 of older versions: codes of table 0357 and others.
    places : tuple of str
        ERR-2: segment, its number, field.
    """

    code: str
    errors: tuple[str, ...] = ()
    places: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """What the sender does next."""
        verdict = VERDICTS[self.code]
        if verdict is Verdict.GIVE_UP and MENDED_BY_TIME & set(self.errors):
            return Verdict.RETRY
        return verdict

    def __str__(self) -> str:
        told = [f"{each} {ERRORS.get(each, '')}".strip() for each in self.errors]
        if self.places:
            told.append(f"at {', '.join(self.places)}")
        return f"HL7 {self.code}" + (f": {'; '.join(told)}" if told else "")


def read_answer(content: bytes, control_id: str) -> Answer:
    """Read the acknowledgement of a message.

    Raises
    ------
    NoAnswer
        If it is none, or one of another message.
    """
    segments = content.decode("utf-8", "replace").replace("\n", "\r").split("\r")
    if not segments[0].startswith("MSH") or len(segments[0]) < 8:
        raise NoAnswer("the answer is no HL7 message")
    bar, component = segments[0][3], segments[0][4]
    rows = [segment.split(bar) for segment in segments[1:]]
    acknowledged = next((row for row in rows if row[0] == "MSA"), None)
    if acknowledged is None or len(acknowledged) < 3:
        raise NoAnswer("the answer acknowledges nothing: it has no MSA")
    code, of = acknowledged[1].strip().upper(), acknowledged[2].strip()
    if of != control_id:
        raise NoAnswer("the answer is to another message: MSA-2 is not the control id")
    if code not in VERDICTS:
        raise NoAnswer("the answer has no code of table 0008 in MSA-1")
    faults = [row for row in rows if row[0] == "ERR"]
    codes = (_code_of(row, component) for row in faults)
    places = (row[2].replace(component, "-") for row in faults if len(row) > 2)
    return Answer(
        code=code,
        errors=tuple(each for each in codes if each),
        places=tuple(each[:20] for each in places if each.replace("-", "").isalnum()),
    )


def _code_of(row: list[str], component: str) -> str:
    """Return the code of an ERR segment; empty if it has none that is a short code."""
    if len(row) > 3 and row[3]:
        code = row[3].split(component)[0]
    else:  # up to v2.4: segment, number, field, code
        parts = row[1].split(component) if len(row) > 1 else []
        code = parts[3].split("&")[0] if len(parts) > 3 else ""
    return code if code.isalnum() and len(code) <= 10 else ""
