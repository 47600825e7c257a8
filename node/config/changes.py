"""What differs between two configurations, and what of it a running node takes up."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from node.config.faults import SECRET_KEYS
from node.config.settings import NodeSettings, Settings

LIVE = frozenset(
    {
        "accept_unknown_peers",
        "receive.maximum_associations",
        "receive.check_called_ae_title",
        "receive.called_ae_titles",
        "receive.allowed_addresses",
        "tls.warn_days",
        "assemble",
        "jobs.keep_headers_days",
        "jobs.load_timeout_s",
        "jobs.read_timeout_s",
        "jobs.segment_timeout_s",
        "jobs.radiomics_timeout_s",
        "jobs.classify_timeout_s",
        "jobs.compare_timeout_s",
        "jobs.report_timeout_s",
        "deliver.acse_timeout_s",
        "deliver.dimse_timeout_s",
        "deliver.maximum_pdu_bytes",
        "deliver.commitment_wait_s",
        "deliver.commitment_timeout_s",
        "priors",
        "report",
        "feedback",
        "triage",
        "log.level",
    }
)
"""Keys of node.yaml, and whole sections, that a running node takes up; peers and rules besides."""

NONE = "none"
LONGEST = 60


@dataclass(frozen=True, kw_only=True)
class Change:
    """One difference.

    Parameters
    ----------
    key : str
        ``port``, ``receive.dimse_timeout_s``, ``peer pacs``, ``rule brain`` ...
    before, after : str
        The values; ``none`` for a peer or rule that came or went, ``not shown`` for secrets.
    needs_restart : bool
    """

    key: str
    before: str
    after: str
    needs_restart: bool = False


def list_changes(before: Settings, after: Settings) -> list[Change]:
    """Return every difference of two configurations, in the order of the files."""
    return [
        *_changes_of_node(before.node, after.node),
        *_changes_of_list("peer", before.peers, after.peers),
        *_changes_of_list("rule", before.routing, after.routing),
        *_change_of_order(before, after),
    ]


def take_live(running: NodeSettings, after: Settings) -> Settings:
    """Return ``after`` with all that needs a restart as it is in ``running``."""
    return after.model_copy(update={"node": _merge(running, after.node, ())})


def is_live(location: Sequence[str]) -> bool:
    """Tell whether a running node takes up a key of node.yaml."""
    return any(".".join(location[:n]) in LIVE for n in range(1, len(location) + 1))


def _merge(running: BaseModel, after: BaseModel, above: tuple[str, ...]) -> BaseModel:
    update: dict[str, Any] = {}
    for key in type(after).model_fields:
        value = getattr(after, key)
        if is_live((*above, key)):
            update[key] = value
        elif isinstance(value, BaseModel):
            update[key] = _merge(getattr(running, key), value, (*above, key))
    return running.model_copy(update=update)


def _changes_of_node(before: NodeSettings, after: NodeSettings) -> Iterator[Change]:
    old, new = dict(_flat(before, ())), dict(_flat(after, ()))
    for location, value in new.items():
        if old[location] == value:
            continue
        is_secret = bool(SECRET_KEYS & set(location))
        yield Change(
            key=".".join(location),
            before="not shown" if is_secret else _show(old[location]),
            after="not shown" if is_secret else _show(value),
            needs_restart=not is_live(location),
        )


def _flat(settings: BaseModel, above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key in type(settings).model_fields:
        value = getattr(settings, key)
        if isinstance(value, BaseModel):
            yield from _flat(value, (*above, key))
        else:
            yield (*above, key), value


def _changes_of_list(kind: str, before: Sequence[Any], after: Sequence[Any]) -> Iterator[Change]:
    old: Mapping[str, Any] = {entry.name: entry for entry in before}
    new: Mapping[str, Any] = {entry.name: entry for entry in after}
    for name in [*old, *(name for name in new if name not in old)]:
        if old.get(name) == new.get(name):
            continue
        if name not in old or name not in new:
            yield Change(
                key=f"{kind} {name}",
                before="there" if name in old else NONE,
                after="there" if name in new else NONE,
            )
            continue
        for field in type(new[name]).model_fields:
            values = getattr(old[name], field), getattr(new[name], field)
            if values[0] != values[1]:
                yield Change(
                    key=f"{kind} {name}: {field}", before=_show(values[0]), after=_show(values[1])
                )


def _change_of_order(before: Settings, after: Settings) -> Iterator[Change]:
    """Rules are asked in turn, so that their order counts."""
    old = [rule.name for rule in before.routing]
    new = [rule.name for rule in after.routing]
    stayed = [name for name in old if name in new], [name for name in new if name in old]
    if stayed[0] != stayed[1]:
        yield Change(key="order of the rules", before=", ".join(old), after=", ".join(new))


def _show(value: Any) -> str:
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json", exclude_defaults=True)
    if isinstance(value, tuple):
        value = [str(entry) if isinstance(entry, str) else entry for entry in value]
    text = str(value)
    text = text if text else "empty"
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
