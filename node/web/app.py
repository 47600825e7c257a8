"""The application."""

from http import HTTPStatus

import structlog
from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBearer
from fastapi.staticfiles import StaticFiles
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp

from node import __version__
from node.domain.errors import TryLater
from node.web.api import PROBES, ROUTERS
from node.web.api.forms import Fault
from node.web.faults import PageFault, fault_page
from node.web.gate import Gate
from node.web.headers import SecurityHeaders
from node.web.logging_in import Doorkeeper
from node.web.looks import Looks
from node.web.pages import PAGES
from node.web.rendering import STATIC
from node.web.services import Services
from node.web.watch import Watch

log = structlog.get_logger()

API_FAULTS = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
"""Statuses with which any request to the API may end."""


class WebApp(FastAPI):
    """FastAPI with the security headers around everything, also around its own answer to bugs."""

    def build_middleware_stack(self) -> ASGIApp:
        """Put the headers outermost."""
        return SecurityHeaders(super().build_middleware_stack())


def create_app(services: Services) -> FastAPI:
    """Return the application of one node.

    Parameters
    ----------
    services : Services
    """
    app = WebApp(
        title="OncoNode",
        version=__version__,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # they load scripts from elsewhere
        redoc_url=None,
    )
    app.state.services = services
    app.state.doorkeeper = Doorkeeper(services.accounts)
    app.state.watch = Watch(services)
    app.state.looks = Looks()
    app.state.is_stopping = lambda: False  # whoever serves it knows better
    app.state.navigation = tuple(entry for _, entry in PAGES if entry is not None)
    app.add_middleware(Gate, services=services)
    for router, _ in PAGES:
        app.include_router(router, include_in_schema=False)
    for router in ROUTERS:
        app.include_router(
            router,
            prefix="/api/v1",
            responses={status.value: {"model": Fault} for status in API_FAULTS},
            dependencies=[Depends(HTTPBearer(auto_error=False))],  # for the schema: the gate judges
        )
    app.include_router(PROBES, include_in_schema=False)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    _add_faults(app)
    return app


def _add_faults(app: FastAPI) -> None:
    @app.exception_handler(PageFault)
    def tell_fault(request: Request, fault: PageFault) -> Response:
        return fault_page(request, fault.status, fault.message)

    @app.exception_handler(HTTPException)
    def tell_status(request: Request, fault: HTTPException) -> Response:
        answer = fault_page(request, HTTPStatus(fault.status_code), _detail(fault))
        answer.headers.update(fault.headers or {})
        return answer

    @app.exception_handler(RequestValidationError)
    def tell_invalid(request: Request, fault: RequestValidationError) -> Response:
        told = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in fault.errors())
        return fault_page(request, HTTPStatus.UNPROCESSABLE_ENTITY, told)

    @app.exception_handler(SQLAlchemyError)
    @app.exception_handler(TryLater)
    def tell_later(request: Request, fault: Exception) -> Response:
        log.warning("web.try_later", path=request.url.path, error=type(fault).__name__)
        return fault_page(request, HTTPStatus.SERVICE_UNAVAILABLE)

    @app.exception_handler(Exception)
    def tell_bug(request: Request, fault: Exception) -> Response:
        log.error("web.bug", path=request.url.path, error=type(fault).__name__)
        return fault_page(request, HTTPStatus.INTERNAL_SERVER_ERROR)


def _detail(fault: HTTPException) -> str:
    """Return what was said, unless it is only the name of the status."""
    status = HTTPStatus(fault.status_code)
    return "" if fault.detail == status.phrase else str(fault.detail)
