"""C-ECHO: the answer that a peer's connection test waits for.

References
----------
PS3.4 annex A, PS3.7 section 9.1.5.
"""

import structlog
from pynetdicom.events import Event

from node.receive.status import SUCCESS

log = structlog.get_logger()


def answer_echo(event: Event) -> int:
    """Answer a C-ECHO request."""
    log.info("echo.answered", calling_ae_title=event.assoc.requestor.ae_title.strip())
    return SUCCESS.status
