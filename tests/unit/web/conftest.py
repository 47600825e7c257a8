"""A page over an empty node."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from web_client import Clock, web_parts, web_services

from node.bootstrap.parts import Parts
from node.jobs.ledger import Ledger
from node.web.services import Services


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    made = web_parts(tmp_path)
    yield made
    made.engine.dispose()


@pytest.fixture
def ledger(parts: Parts) -> Ledger:
    return parts.ledger


@pytest.fixture
def services(parts: Parts, clock: Clock) -> Services:
    return web_services(parts, now=clock)
