"""How the node tells the sequences of a brain MR study apart, unless bundle or site say otherwise.

Of each sequence the alternatives stand in the order of preference: names first, since those who
wrote them knew the protocol; then physics and contrast agent, for names that tell nothing. Words
of several languages are known. Ranges are wide where scanners of 1.5 and 3 T differ, and narrow
where another sequence lies near: proton density has the echo time of T1 with a longer repetition,
angiography the times of a T1 gradient echo, and "T1 FLAIR" is no FLAIR.

References
----------
PS3.3 C.8.3.1 (attributes of MR images).
De Coene et al., AJNR 13(6), 1992 (FLAIR: inversion time 1800 to 2500 ms, long echo time).
Ellingson et al., Neuro-Oncology 17(9), 2015, doi:10.1093/neuonc/nov095 (brain tumour protocol).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from node.config.settings import SequenceMatch

_T1 = ("*t1*", "*mprage*", "*mp rage*", "*spgr*", "*bravo*", "*tfl3d*")
_FLAIR = ("*flair*", "*dark fluid*", "*darkfluid*", "*fluid att*", "*压水*", "*抑水*", "*水抑制*")
_PRE = (
    "* pre *", "* before *", "*precon*", "* pregd*", "*without*", "* w o *", "* wo *",
    "* non contrast*", "*noncontrast*", "* no contrast*", "* no gd*", "* no gad*",
    "*unenhanced*", "* plain *",
    "* nativ*", "* ohne *", "* vor km*", "*zonder*", "* blanco*", "* voor *", "* sans *",
    "* avant *", "* sin *", "* senza *", "*平扫*", "*造影前*", "*単純*",
)  # fmt: skip
_POST = (
    "* post *", "* after *", "*postcon*", "* postgd*", "*+c*", "*c+*", "*+ c *", "* gd*", "* gad*",
    "*+gd*", "*+gad*", "*t1gd*", "*t1ce*", "*t1wce*", "* ce *", "*t1c *", "*t1wc *", "*contrast*",
    "*kontrast*", "*enhanced*", "* km *", "*+km*", "* inj *", "* inject*", "* mdc *", "*增强*",
    "*增強*", "*造影*",
)  # fmt: skip
_BOTH = ("*pre post*", "*with and without*", "*w wo *", "*w w o *", "*subtr*", "* sub *")
_OTHER = (
    "*t2*", "*dwi*", "*adc*", "*diff*", "*perf*", "*dsc*", "*dce*", "*asl*", "*swi*", "*tof*",
    "*mra*", "*angio*", "*mip*", "* map*", "*scout*", "*localizer*", "*localiser*", "*survey*",
)  # fmt: skip

_T1_PHYSICS: tuple[dict[str, Any], ...] = (
    {"scanning_sequence": ("SE",), "echo_time_ms": (0, 30), "repetition_time_ms": (200, 1300)},
    {"inversion_time_ms": (300, 1300), "echo_time_ms": (0, 30)},
    {"scanning_sequence": ("GR",), "echo_time_ms": (0, 6), "repetition_time_ms": (3, 15)},
    {"scanning_sequence": ("GR",), "echo_time_ms": (0, 6), "repetition_time_ms": (100, 3000)},
)


def _t1_like(**conditions: Any) -> tuple[SequenceMatch, ...]:
    return tuple(SequenceMatch(**conditions, **physics) for physics in _T1_PHYSICS)


SEQUENCES: Mapping[str, tuple[SequenceMatch, ...]] = MappingProxyType(
    {
        "t1": (
            SequenceMatch(description=_T1, and_description=_PRE, not_description=(*_BOTH, *_OTHER)),
            SequenceMatch(
                description=_T1, not_description=(*_POST, *_BOTH, *_OTHER), contrast_agent=False
            ),
            *_t1_like(not_description=(*_POST, *_BOTH, *_OTHER, *_FLAIR), contrast_agent=False),
            SequenceMatch(description=_PRE, not_description=(*_BOTH, *_OTHER, *_FLAIR)),
        ),
        "flair": (
            SequenceMatch(description=_FLAIR, not_description=("*t1*", *_BOTH[-2:])),
            SequenceMatch(
                not_description=("*t1*", *_BOTH[-2:]),
                inversion_time_ms=(1500, 3000),
                echo_time_ms=(60, 600),
            ),
        ),
        "t1ce": (
            SequenceMatch(
                description=_T1, and_description=_POST, not_description=(*_PRE, *_BOTH, *_OTHER)
            ),
            SequenceMatch(
                description=_T1, not_description=(*_PRE, *_BOTH, *_OTHER), contrast_agent=True
            ),
            SequenceMatch(description=_POST, not_description=(*_PRE, *_BOTH, *_OTHER, *_FLAIR)),
            *_t1_like(not_description=(*_PRE, *_BOTH, *_OTHER, *_FLAIR), contrast_agent=True),
        ),
    }
)
"""Role -> alternatives, in the order of preference."""

TITLES: Mapping[str, str] = MappingProxyType(
    {"t1": "pre-contrast T1", "flair": "FLAIR", "t1ce": "post-contrast T1"}
)
"""Role -> what radiologists call it."""
