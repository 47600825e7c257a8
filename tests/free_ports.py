"""Ports of the loopback for servers of tests.

The system gives the ports of its own range to every outgoing connection, so a port that is free
now, and is listened on only later, or again after a stop, may be taken meanwhile. These lie below
that range, and processes that run tests side by side (pytest-xdist) never draw the same one.
"""

import os
import random
import socket

FIRST, END = 20_000, 32_768
"""Above what services use, below Linux's ``net.ipv4.ip_local_port_range``."""

_given: set[int] = set()


def free_port() -> int:
    """A port of the loopback that nobody listens on, and that this process was not given before."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    of = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    candidates = [port for port in range(FIRST + number, END, of) if port not in _given]
    for port in random.sample(candidates, len(candidates)):  # another run may be under way
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port
    raise AssertionError(f"no port from {FIRST} to {END - 1} is free")
