"""The HTTP side of peers with DICOMweb: one client, and what its failures mean.

References
----------
PS3.18 section 8.5 (status codes).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from xml.etree.ElementTree import ParseError

import requests
from dicomweb_client.web import DICOMwebClient
from pydicom import Dataset

from node.config.secrets import read_secret
from node.config.settings import DeliverSettings, Peer, WebService
from node.dicom.damage import DAMAGED
from node.domain.errors import SetupFault, TryLater

MAXIMUM_ANSWER_BYTES = 4 << 30
"""Of one answer, inflated: a study by WADO-RS; DICOMweb has no smaller unit that is asked for."""
MAXIMUM_SEARCH_BYTES = 64 << 20
"""Of one answer in JSON, which is in memory as a whole."""
JSON = ("application/dicom+json", "application/json")
XML = ("application/dicom+xml", "application/xml")
# What time may mend: authorisation by an operator, too many requests, a server that is down.
RETRIED = frozenset({401, 403, 407, 408, 425, 429, 500, 502, 503, 504, 507})


NOT_READABLE = 0
"""In place of an HTTP status: an answer that is none."""
UNDECIDED = frozenset({NOT_READABLE, 404, 409})
"""They say nothing of what was sent: no answer, a wrong address (for an operator), a conflict."""


class WebRefused(SetupFault):
    """The peer answered, and its answer will be the same next time.

    Parameters
    ----------
    summary : str
    status : int
        HTTP status, or ``NOT_READABLE``.
    """

    def __init__(self, summary: str, status: int = NOT_READABLE) -> None:
        super().__init__(summary)
        self.status = status

    def __reduce__(self) -> tuple[type["WebRefused"], tuple[str, int]]:  # type: ignore[override]  # carries the status
        return type(self), (self.summary, self.status)


class BoundedSession(requests.Session):
    """A session that takes no answer beyond the limits.

    Parameters
    ----------
    on_answer : callable
        Called with each answer.
    """

    def __init__(self, on_answer: Callable[[requests.Response], object]) -> None:
        super().__init__()
        self._on_answer = on_answer

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send a request; its answer is counted while it is read."""
        is_streamed = kwargs.pop("stream", False)
        response = super().send(request, stream=True, **kwargs)
        if media_type(response) in (*JSON, *XML):  # dicomweb-client knows no "; charset=utf-8"
            response.headers["Content-Type"] = media_type(response)
        read: Callable[..., Iterator[Any]] = response.iter_content
        is_search = "json" in (request.headers.get("Accept") or "")
        limit = MAXIMUM_SEARCH_BYTES if is_search else MAXIMUM_ANSWER_BYTES

        def read_bounded(chunk_size: int | None = 1, decode_unicode: bool = False) -> Iterator[Any]:
            size_bytes = 0
            for chunk in read(chunk_size, decode_unicode):
                size_bytes += len(chunk)
                if size_bytes > limit:
                    response.close()
                    raise ValueError(f"an answer of more than {limit} bytes")
                yield chunk

        response.iter_content = read_bounded  # type: ignore[method-assign] # of this answer alone
        if not is_streamed:
            _ = response.content  # read now, so that the connection is free again
        self._on_answer(response)
        return response


class BearerToken(requests.auth.AuthBase):
    """HTTP Bearer authentication (RFC 6750)."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the header; not sent on to another host, as ``requests`` strips it there."""
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def media_type(response: requests.Response) -> str:
    """Return the type of an answer's content without its parameters; empty if it has none."""
    return response.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def read_json(response: requests.Response) -> Dataset:
    """Return the data set of an answer in the DICOM JSON model.

    Raises
    ------
    ValueError
        If it is none.
    """
    try:
        return Dataset.from_json(response.json())
    except DAMAGED as error:
        raise ValueError(f"no DICOM JSON: {type(error).__name__}") from error


def open_client(
    peer: Peer,
    settings: DeliverSettings,
    *,
    on_answer: Callable[[requests.Response], object] = lambda _: None,
) -> DICOMwebClient:
    """Return a client of a peer's services; nothing is sent yet.

    Neither proxies nor credentials are taken from the environment.

    Parameters
    ----------
    peer : Peer
    settings : DeliverSettings
    on_answer : callable, optional
        Called with each answer, before the client reads it.

    Raises
    ------
    SetupFault
        If a secret cannot be read, or the authority's file is not there.
    """
    web = peer.dicomweb
    if web is None:
        raise SetupFault(f"{peer.name}: peers.yaml names no dicomweb url")
    session = open_session(web, on_answer=on_answer)
    # where no other is asked for: in what STOW-RS is answered
    session.headers["Accept"] = "application/dicom+json, application/dicom+xml;q=0.5, */*;q=0.1"
    client = DICOMwebClient(
        url=web.url, session=session, timeout=timeouts_of(settings), permissive_uid=True
    )
    client.set_http_retry_params(retry=False)  # the outbox tries again, and writes it down
    return client


def open_session(
    service: WebService, *, on_answer: Callable[[requests.Response], object] = lambda _: None
) -> BoundedSession:
    """Return a session that proves who the node is; nothing is sent yet.

    Neither proxies nor credentials are taken from the environment.

    Raises
    ------
    SetupFault
        If a secret cannot be read.
    """
    session = BoundedSession(on_answer)
    session.trust_env = False
    if service.ca_file:
        session.verify = service.ca_file
    if service.token_file:
        session.auth = BearerToken(read_secret(service.token_file))
    elif service.username:
        password = read_secret(service.password_file) if service.password_file else ""
        session.auth = (service.username, password)
    return session


def timeouts_of(settings: DeliverSettings) -> tuple[float, float]:
    """Return how long a connection, and then an answer, may take, in seconds."""
    return settings.acse_timeout_s or 60.0, settings.dimse_timeout_s or 600.0


@contextmanager
def web_failures(peer: Peer, service: str) -> Iterator[None]:
    """Translate failures of HTTP.

    Raises
    ------
    TryLater
        If the peer cannot be reached, or its answer may be another one later.
    WebRefused
        If its answer will stay the same, or is no answer.
    """
    try:
        yield
    except requests.HTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        said = f"{peer.name}: {service} answered HTTP {status}"
        if status in RETRIED:
            raise TryLater(said) from None
        raise WebRefused(said, status) from None
    except (OSError, requests.RequestException) as error:
        # the text of the error may hold an address with query keys
        raise TryLater(f"{peer.name}: {service} failed: {type(error).__name__}") from None
    except (*DAMAGED, ParseError) as error:  # of XML, in answers to STOW-RS
        message = f"{peer.name}: {service} answered what cannot be read: {type(error).__name__}"
        raise WebRefused(message) from None
