"""Server-sent events: what changes on the node, for those who have the overview open.

References
----------
WHATWG HTML, section 9.2 (server-sent events).
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from node.web.gate import ENDED, bearer_of, session_times
from node.web.overview import Overview
from node.web.services import services_of
from node.web.visitor import visitor_of

LOOK_EVERY_S = 1.0
TELL_EVERY_S = 10.0
"""Also when nothing happens: ages grow."""
ASK_SESSION_EVERY_S = 5.0


async def watch(
    request: Request, tell: Callable[[Overview], str], *, name: str, most: int = 0
) -> AsyncIterator[dict[str, str]]:
    """Yield an event whenever the node has changed, as long as the user is logged in.

    It ends, too, when the server is to stop; browsers then ask again until it is back.

    Parameters
    ----------
    request : Request
    tell : callable
        Makes the data of an event.
    name : str
        Of the events; the last one is ``ended`` where the session has.
    most : int
        End after so many; 0: never.
    """
    look: Callable[[], Overview] = request.app.state.watch.look
    known: tuple[object, ...] | None = None
    told_at_s = asked_at_s = time.monotonic()
    sent = 0
    while not (request.app.state.is_stopping() or await request.is_disconnected()):
        now_s = time.monotonic()
        if now_s >= asked_at_s + ASK_SESSION_EVERY_S:
            asked_at_s = now_s
            if not await run_in_threadpool(_is_logged_in, request):
                yield {"event": ENDED, "data": ""}
                return
        seen = await run_in_threadpool(look)
        if seen.fingerprint != known or now_s >= told_at_s + TELL_EVERY_S:
            known, told_at_s = seen.fingerprint, now_s
            yield {"event": name, "data": await run_in_threadpool(tell, seen)}
            sent += 1
            if sent == most:
                return
        await asyncio.sleep(LOOK_EVERY_S)


def _is_logged_in(request: Request) -> bool:
    services, visitor = services_of(request), visitor_of(request)
    if not visitor.session:
        return services.accounts.user_of_token(bearer_of(request) or "") is not None
    times = session_times(services.settings().node.web)
    return services.accounts.is_open(visitor.session, **times)
