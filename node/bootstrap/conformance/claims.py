"""What the node proposes and accepts, from the very tables that the associations are made of.

References
----------
PS3.2 annex N (template of a conformance statement), PS3.8 section 7.1.1.13 (presentation contexts).
"""

from collections.abc import Iterable
from dataclasses import dataclass

from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom.presentation import PresentationContext, build_context

from node.deliver.c_echo import VERIFICATION
from node.deliver.ladder import CLASS_OF_FORM
from node.deliver.syntaxes import propose
from node.dicom.commitment import STORAGE_COMMITMENT
from node.query.c_find import STUDY_ROOT_FIND
from node.query.c_get import CLASSES, STUDY_ROOT_GET, SYNTAXES
from node.query.c_move import STUDY_ROOT_MOVE
from node.receive.contexts import accepted_contexts

SCU, SCP, BOTH = "SCU", "SCP", "SCU/SCP"


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A SOP class in a role.

    Parameters
    ----------
    sop_class_uid : str
    role : str
        Of the node: ``SCU``, ``SCP``, or both.
    transfer_syntax_uids : frozenset of str
    """

    sop_class_uid: str
    role: str
    transfer_syntax_uids: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Activity:
    """What is proposed in one kind of association.

    Parameters
    ----------
    name : str
        As the statement calls it.
    claims : tuple of Claim
    """

    name: str
    claims: tuple[Claim, ...]


def accepted() -> tuple[Claim, ...]:
    """Return what the listener accepts."""
    return _claims(accepted_contexts(commitment=True), SCP, both={STORAGE_COMMITMENT})


def proposed() -> tuple[Activity, ...]:
    """Return what the node proposes where it calls."""
    results = [(uid, str(ExplicitVRLittleEndian)) for uid in CLASS_OF_FORM.values()]
    storage = [build_context(uid, list(SYNTAXES)) for uid in CLASSES]
    commitment, echo = build_context(STORAGE_COMMITMENT), build_context(VERIFICATION)
    return (
        Activity(name="Verify", claims=_claims([echo], SCU)),
        Activity(name="Send results", claims=_claims(propose(results), SCU)),
        Activity(name="Ask for commitment", claims=_claims([commitment, echo], SCU)),
        Activity(name="Report on commitment", claims=_claims([commitment], SCP)),
        Activity(name="Query", claims=_claims([build_context(STUDY_ROOT_FIND)], SCU)),
        Activity(
            name="Have moved to the node", claims=_claims([build_context(STUDY_ROOT_MOVE)], SCU)
        ),
        Activity(
            name="Get",
            claims=_claims([build_context(STUDY_ROOT_GET)], SCU) + _claims(storage, SCP),
        ),
    )


def _claims(
    contexts: Iterable[PresentationContext],
    role: str,
    both: frozenset[str] | set[str] = frozenset(),
) -> tuple[Claim, ...]:
    syntaxes: dict[str, set[str]] = {}
    for context in contexts:
        found = syntaxes.setdefault(str(context.abstract_syntax), set())
        found.update(str(each) for each in context.transfer_syntax)
    return tuple(
        Claim(
            sop_class_uid=uid,
            role=BOTH if uid in both else role,
            transfer_syntax_uids=frozenset(each),
        )
        for uid, each in syntaxes.items()
    )
