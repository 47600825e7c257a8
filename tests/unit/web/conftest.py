"""A page over an empty node."""

from pathlib import Path

import pytest
from web_client import Clock, web_parts, web_services

from node.web.services import Services


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def services(tmp_path: Path, clock: Clock) -> Services:
    return web_services(web_parts(tmp_path), now=clock)
