"""The listener goes on: damaged PDUs on real sockets, and good objects between them."""

import os
import random
import socket
import threading
from pathlib import Path

from factories_receive import (
    ROOT,
    associated,
    encode,
    listener_settings,
    make_ct,
    running_listener,
    send_bytes,
    wait_until,
)
from fuzz_pieces import Change, damage_bytes, draws
from fuzz_seeds import association_request, store_messages

CASES = max(24, int(os.environ.get("ONCONODE_FUZZ_CASES", "0")) // 500)
GOOD_EVERY = 12
PATIENCE_S = 5


def test_a_good_object_is_stored_whatever_came_before(tmp_path: Path) -> None:
    chance = draws()
    settings = listener_settings(acse_timeout_s=PATIENCE_S, dimse_timeout_s=PATIENCE_S)
    with running_listener(tmp_path, settings=settings) as running:
        threads = threading.active_count()
        for case in range(1, CASES + 1):
            _attack(running.port, chance, damage_request=case % 3 == 0)
            if case % GOOD_EVERY == 0:
                _store(running.port, 100 + case)
        # connections end on their own: none is left behind by what was sent
        wait_until(lambda: threading.active_count() <= threads, timeout_s=60)
        assert not list(running.spool.incoming.iterdir())
    assert CASES >= GOOD_EVERY


def _attack(port: int, chance: random.Random, *, damage_request: bool) -> None:
    request = association_request()
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as connection:
        try:
            if damage_request:
                connection.sendall(damage_bytes(request, _changes(chance)))
                connection.shutdown(socket.SHUT_WR)
            else:
                connection.sendall(request)
                connection.recv(65536)
                pdus = [damage_bytes(pdu, _changes(chance)) for pdu in store_messages()]
                chance.shuffle(pdus)
                connection.sendall(b"".join(pdus))
                connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass
        except OSError:  # the listener ended it first, as it may, also before the shutdown
            return


def _changes(chance: random.Random) -> list[Change]:
    return [
        Change(chance.randrange(14), chance.randrange(4096), chance.randrange(256))
        for _ in range(chance.randrange(4))
    ]


def _store(port: int, number: int) -> None:
    with associated(port) as association:
        assert association.is_established
        data = encode(make_ct(number))
        answer = send_bytes(association, data, sop_instance_uid=f"{ROOT}.3.{number}")
        assert answer.Status == 0
