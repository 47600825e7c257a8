"""Receivers of messages on real sockets: MLLP, and a FHIR server that keeps what it was sent."""

import json
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import jsonschema
from fhir.resources.R4B.bundle import Bundle

START, END = b"\x0b", b"\x1c\r"
R4_SCHEMA = Path(__file__).parent / "reference" / "fhir_r4.schema.json"
DROP = "drop"
SILENCE = "silence"


def acknowledge(code: str, control_id: str, error: str = "") -> bytes:
    """An answer; ``error`` is an ERR segment."""
    text = f"MSH|^~\\&|RIS||ONCONODE||20240101||ACK^R01^ACK|1|P|2.5.1\rMSA|{code}|{control_id}\r"
    return START + (text + error).encode() + END


@dataclass
class MllpReceiver:
    """Takes messages and gives the answers of a script; then accepts.

    Answers are codes of MSA-1, ``"CODE/ERR segment"``, whole answers as bytes, ``DROP`` (the
    connection ends) or ``SILENCE``.
    """

    script: list[str | bytes] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    port: int = 0
    came: threading.Event = field(default_factory=threading.Event)

    def handle(self, connection: socket.socket) -> None:
        connection.settimeout(20)
        held = b""
        while END not in held:
            data = connection.recv(4096)
            if not data:
                return
            held += data
        text = held.partition(END)[0].removeprefix(START).decode()
        self.messages.append(text)
        self.came.set()
        answer = self.script.pop(0) if self.script else "AA"
        if answer == DROP:
            return
        if answer == SILENCE:
            with suppress(OSError):
                connection.recv(1)  # until the sender gives up
            return
        if isinstance(answer, str):
            code, _, error = answer.partition("/")
            answer = acknowledge(code, text.split("|", 10)[9], error)
        for place in range(0, len(answer), 7):  # TCP keeps no borders
            connection.sendall(answer[place : place + 7])


@contextmanager
def mllp_receiver(
    *script: str | bytes, context: ssl.SSLContext | None = None
) -> Iterator[MllpReceiver]:
    """Run a receiver on a free port of this host."""
    receiver = MllpReceiver(script=list(script))
    listener = socket.create_server(("127.0.0.1", 0))
    receiver.port = listener.getsockname()[1]

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with suppress(OSError):
                if context is not None:
                    connection = context.wrap_socket(connection, server_side=True)
                with connection:
                    receiver.handle(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)


@cache
def r4_validator() -> jsonschema.protocols.Validator:
    """FHIR 4.0.1's own JSON Schema, the part that these resources need."""
    return jsonschema.Draft6Validator(json.loads(R4_SCHEMA.read_text()))


def check_bundle(bundle: dict[str, Any]) -> None:
    """Raise where a transaction meets the models of fhir.resources, or R4's schema, not."""
    Bundle.model_validate(bundle)
    r4_validator().validate(bundle)


@dataclass
class FhirServer:
    """Keeps resources by the identifier that a transaction names, as conditional requests ask.

    ``script`` holds statuses that are answered first, or (status, content type, body).
    """

    script: list[int | tuple[int, str, str]] = field(default_factory=list)
    resources: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    requests: list[dict[str, str]] = field(default_factory=list)
    capabilities: dict[str, Any] = field(
        default_factory=lambda: {
            "resourceType": "CapabilityStatement",
            "fhirVersion": "4.0.1",
            "rest": [{"mode": "server", "interaction": [{"code": "transaction"}]}],
        }
    )
    url: str = ""

    def take(self, bundle: dict[str, Any]) -> dict[str, Any]:
        check_bundle(bundle)
        names = {entry["fullUrl"] for entry in bundle["entry"]}
        referred = set(re.findall(r'"reference": "(urn:uuid:[^"]*)"', json.dumps(bundle)))
        assert referred <= names
        answers = []
        for entry in bundle["entry"]:
            request, kind = entry["request"], entry["resource"]["resourceType"]
            query = request.get("ifNoneExist") or request["url"].partition("?")[2]
            key = kind, unquote(query)
            system, value = key[1].removeprefix("identifier=").split("|")
            first = entry["resource"]["identifier"][0]
            assert (first["system"], first["value"]) == (system, value)
            is_new = key not in self.resources
            if is_new or request["method"] == "PUT":
                self.resources[key] = entry["resource"]
            answers.append({"response": {"status": "201 Created" if is_new else "200 OK"}})
        return {"resourceType": "Bundle", "type": "transaction-response", "entry": answers}


@contextmanager
def fhir_server(*script: int | tuple[int, str, str]) -> Iterator[FhirServer]:
    """Run a FHIR server on a free port of this host."""
    server = FhirServer(script=list(script))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(200, "application/fhir+json", json.dumps(server.capabilities))

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            server.requests.append(dict(self.headers))
            scripted = server.script.pop(0) if server.script else None
            if isinstance(scripted, int):
                self._answer(scripted, "text/plain", "")
            elif scripted is not None:
                self._answer(*scripted)
            else:
                told = server.take(json.loads(content))
                self._answer(200, "application/fhir+json;charset=UTF-8", json.dumps(told))

        def _answer(self, status: int, kind: str, text: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{httpd.server_port}/r4"
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join(10)
