"""The bundles: which are there, what they can do, and which is active where."""

from http import HTTPStatus
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse
from starlette.responses import Response

from node.domain.errors import SetupFault
from node.web.bundle_sheets import REPORT, BundleSheet, list_bundles, read_details
from node.web.faults import PageFault
from node.web.navigation import Entry, mark
from node.web.rendering import render
from node.web.services import services_of

router = APIRouter()
ENTRY = Entry(path="/models", title=mark("Models"))

REPORT_POLICY = "; ".join(
    ("default-src 'none'", "style-src 'unsafe-inline'", "img-src data:", "sandbox")
)
"""Of a report, which holds its style and its pictures in itself; nothing in it runs."""


@router.get("/models")
def list_models(request: Request) -> Response:
    """Show every bundle in short."""
    return render(request, "models.html", sheets=_sheets(request))


@router.get("/models/{name}/{version}/")
def show_model(request: Request, name: str, version: str) -> Response:
    """Show one bundle."""
    sheet = _sheet(request, name, version)
    details = read_details(_folder(request, sheet))
    try:
        services_of(request).models.get(f"{name}/{version}")
        fault = ""
    except SetupFault as problem:
        fault = str(problem)
    return render(request, "model.html", sheet=sheet, details=details, fault=fault)


@router.get("/models/{name}/{version}/plots/{plot}")
def send_plot(request: Request, name: str, version: str, plot: str) -> Response:
    """Send a picture of a bundle."""
    folder = _folder(request, _sheet(request, name, version))
    known = {path.name: path for path in folder.glob("plots/*.png")}
    if plot not in known:
        raise PageFault(HTTPStatus.NOT_FOUND)
    return FileResponse(known[plot], media_type="image/png")


@router.get("/models/{name}/{version}/report.html")
def send_report(request: Request, name: str, version: str) -> Response:
    """Send the report of a bundle, which is a page of its own."""
    path = _folder(request, _sheet(request, name, version)) / REPORT
    if not path.is_file():
        raise PageFault(HTTPStatus.NOT_FOUND)
    headers = {"Content-Security-Policy": REPORT_POLICY}
    return FileResponse(path, media_type="text/html", headers=headers)


def _sheets(request: Request) -> tuple[BundleSheet, ...]:
    services = services_of(request)
    return list_bundles(services.models, services.settings().routing)


def _sheet(request: Request, name: str, version: str) -> BundleSheet:
    for sheet in _sheets(request):
        if (sheet.name, sheet.version) == (name, version):
            return sheet
    raise PageFault(HTTPStatus.NOT_FOUND)


def _folder(request: Request, sheet: BundleSheet) -> Path:
    return services_of(request).models.root / sheet.name / sheet.version
