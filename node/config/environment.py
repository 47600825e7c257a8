"""Environment variables that override single settings, in one table."""

from collections.abc import Mapping
from typing import Any

from node.config.document import Location

CONFIG_VARIABLE = "ONCONODE_CONFIG"
"""Directory of the yaml files when ``--config`` is not given."""

OVERRIDES: Mapping[str, tuple[str, ...]] = {
    "ONCONODE_DATA_DIR": ("data_dir",),
    "ONCONODE_MODELS_DIR": ("models_dir",),
    "ONCONODE_DATABASE_URL": ("database_url",),
    "ONCONODE_AE_TITLE": ("ae_title",),
    "ONCONODE_BIND_ADDRESS": ("bind_address",),
    "ONCONODE_PORT": ("port",),
    "ONCONODE_SCHEDULER_ADDRESS": ("jobs", "scheduler_address"),
    "ONCONODE_LOG_LEVEL": ("log", "level"),
}
"""Variable -> key in ``node.yaml``; a variable that is set wins over the file."""

WHOLE_NUMBERS = frozenset({"ONCONODE_PORT"})


def overlay(
    value: dict[str, Any], environment: Mapping[str, str]
) -> tuple[dict[str, Any], dict[Location, str]]:
    """Lay the variables that are set over the values of ``node.yaml``.

    Returns
    -------
    dict
        A copy of ``value`` with the overrides in it.
    dict
        Location in ``node.yaml`` -> name of the variable that it now comes from.
    """
    result = dict(value)
    origin: dict[Location, str] = {}
    for variable, location in OVERRIDES.items():
        text = environment.get(variable, "")
        if not text:
            continue
        target = result
        for key in location[:-1]:
            inner = target.get(key)
            target[key] = dict(inner) if isinstance(inner, dict) else {}
            target = target[key]
        number = variable in WHOLE_NUMBERS and text.strip().isdecimal()
        target[location[-1]] = int(text) if number else text
        origin[location] = variable
    return result, origin
