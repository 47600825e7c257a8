"""Which texts patterns with ``*`` and ``?`` can match, and whether some match more than others.

Patterns are compared as ``node.assemble.conditions`` does: without regard to case and without
white space at either end. The answers are exact, or "cannot tell" where it would take too long.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

MAXIMUM_STATES = 2_000
"""Bound of a search; sets of patterns that need more are not compared."""

_OTHER = "\x00"
"""Stands for every character that no pattern names."""

Positions = frozenset[int]
Step = Callable[[int, Positions, str], Positions]


@dataclass(frozen=True, kw_only=True)
class Texts:
    """A set of texts.

    Parameters
    ----------
    included : sequence of str
        Texts that match one of these patterns; none means every text.
    excluded : sequence of str
        Without those that match one of these.
    """

    included: Sequence[str] = ()
    excluded: Sequence[str] = ()


def covers(outer: Texts, inner: Texts) -> bool:
    """Tell whether every text of ``inner`` is surely one of ``outer``; False if in doubt."""
    wanted = _fold(outer.included) or ("*",)
    unwanted = _fold(outer.excluded)
    excluded = _fold(inner.excluded)
    for pattern in _fold(inner.included) or ("*",):
        if pattern in wanted and set(unwanted) <= set(excluded):
            continue
        if _has_text(pattern, excluded, wanted, unwanted) is not False:
            return False
    return True


def is_empty(texts: Texts) -> bool:
    """Tell whether surely no text is in the set; False if in doubt."""
    excluded = _fold(texts.excluded)
    patterns = _fold(texts.included) or ("*",)
    return all(_has_text(pattern, excluded, (), ()) is False for pattern in patterns)


def _fold(patterns: Sequence[str]) -> tuple[str, ...]:
    return tuple(pattern.strip().casefold() for pattern in patterns)


def _has_text(
    pattern: str, excluded: Sequence[str], wanted: Sequence[str], unwanted: Sequence[str]
) -> bool | None:
    """Tell whether a text matches ``pattern``, none of ``excluded``, and is not of the others.

    Not of the others: it matches none of ``wanted``, or one of ``unwanted``. None: it would take
    too long to tell.
    """
    patterns = (pattern, *excluded, *wanted, *unwanted)
    step = _stepper(patterns)
    cuts = (1, 1 + len(excluded), 1 + len(excluded) + len(wanted))
    alphabet = sorted({c for each in patterns for c in each if c not in "*?"} | {_OTHER})

    def ends(state: tuple[Positions, ...]) -> Iterator[bool]:
        return (len(each) in at for each, at in zip(patterns, state, strict=True))

    def is_hopeless(state: tuple[Positions, ...]) -> bool:
        takes_all = [
            each.endswith("*") and len(each) in at for each, at in zip(patterns, state, strict=True)
        ]
        return (
            not state[0]
            or any(takes_all[cuts[0] : cuts[1]])
            or (any(takes_all[cuts[1] : cuts[2]]) and not any(state[cuts[2] :]))
        )

    start = tuple(_spread(each, {0}) for each in patterns)
    seen = {start}
    waiting = deque([start])
    while waiting:
        state = waiting.popleft()
        own, *rest = ends(state)
        is_excluded = any(rest[: cuts[1] - 1])
        is_outside = not any(rest[cuts[1] - 1 : cuts[2] - 1]) or any(rest[cuts[2] - 1 :])
        if own and not is_excluded and is_outside:
            return True
        for character in alphabet:
            after = tuple(step(i, at, character) for i, at in enumerate(state))
            if after not in seen and not is_hopeless(after):
                if len(seen) >= MAXIMUM_STATES:
                    return None
                seen.add(after)
                waiting.append(after)
    return False


def _stepper(patterns: Sequence[str]) -> Step:
    known: dict[tuple[int, Positions, str], Positions] = {}

    def step(i: int, at: Positions, character: str) -> Positions:
        key = (i, at, character)
        if key not in known:
            pattern = patterns[i]
            after = set()
            for position in at:
                if position < len(pattern):
                    if pattern[position] == "*":
                        after.add(position)
                    elif pattern[position] in ("?", character):
                        after.add(position + 1)
            known[key] = _spread(pattern, after)
        return known[key]

    return step


def _spread(pattern: str, positions: set[int]) -> Positions:
    """Add what is reached without a character: the place behind each ``*``."""
    reached = set(positions)
    for position in positions:
        place = position
        while place < len(pattern) and pattern[place] == "*":
            place += 1
            reached.add(place)
    return frozenset(reached)
