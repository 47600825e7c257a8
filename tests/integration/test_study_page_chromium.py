"""The study page in Chromium: scrolling, the place of the outlines, window and level, feedback."""

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import pytest
from factories_report import axes, make_series
from factories_web import compared_with, finish_study
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from web_browser import PATIENCE_MS, chromium, keep_picture, logged_in, served
from web_client import web_parts, web_services

from node.domain.feedback import FeedbackKind
from node.domain.role import Role
from node.jobs.job import Job
from node.jobs.state import JobState
from node.report.display import View
from node.storage.feedback import FeedbackStore
from node.web.services import Services
from tests.unit.web.test_study_pages import LESION, RESULT

pytestmark = pytest.mark.slow

SHAPE = (300, 96, 120)
LARGEST, SECOND = 120, 200
SCROLLED = 60


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A study on a page."""

    services: Services
    address: str
    job: Job
    mask: NDArray[np.uint8]
    view: View

    @property
    def path(self) -> str:
        return f"/studies/{self.job.study_instance_uid}"


def two_lesions() -> dict[str, NDArray[np.bool_]]:
    first, second = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    for k in range(100, 141):
        first[k, 30 : 60 - abs(k - LARGEST) // 2, 20:50] = True
    first[LARGEST, 60:66, 20:35] = True
    second[SECOND, 70:80, 80:100] = True
    return {"first": first, "second": second}


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """300 slices that are not square, oblique, with two lesions."""
    folder = tmp_path_factory.mktemp("page")
    parts = web_parts(folder)
    geometry = axes(shape=SHAPE, spacing_mm=(1.0, 1.2, 0.8), rotation_deg=(0, 8, 180))
    series = make_series(folder / "in", geometry, headers={"PatientName": "Doe^Jane"})
    masks = two_lesions()
    lesions = [LESION, {**LESION, "number": 2, "tracking_uid": "2.25.78"}]
    job = finish_study(parts, series, masks, result={**RESULT, "lesions": lesions})
    services = web_services(parts)
    labels = masks["first"] + np.uint8(2) * masks["second"]
    with served(services) as address:
        yield Shown(
            services=services, address=address, job=job, mask=labels, view=View.of(geometry)
        )
    parts.engine.dispose()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def page(browser: Browser, shown: Shown) -> Iterator[Page]:
    with logged_in(browser, shown.address, shown.services.accounts, Role.OPERATOR) as opened:
        opened.goto(shown.path)
        opened.locator("#current[data-ready]").wait_for()
        yield opened


def slice_on(page: Page) -> int:
    return int(page.locator("#current").get_attribute("data-slice") or -1)


def wait_for_slice(page: Page, k: int) -> None:
    page.locator(f'#current[data-slice="{k}"]').wait_for()


def picture_of(page: Page) -> NDArray[np.int64]:
    """The pixels of the frame on the screen, shape (rows, columns, 3)."""
    content = page.locator("#current [data-part=frame]").screenshot()
    return np.asarray(Image.open(BytesIO(content)).convert("RGB")).astype(np.int64)


def at_voxels(picture: NDArray[np.int64], shape: tuple[int, ...]) -> NDArray[np.int64]:
    """The pixels of the screen that show the centres of the voxels of a slice."""
    rows, columns = shape
    down = ((np.arange(rows) + 0.5) * picture.shape[0] / rows).astype(int)
    right = ((np.arange(columns) + 0.5) * picture.shape[1] / columns).astype(int)
    return picture[np.ix_(down, right)]


def test_it_opens_on_the_first_lesion_and_keys_scroll(page: Page) -> None:
    assert slice_on(page) == LARGEST
    frame = page.locator("#current [data-part=frame]")
    frame.focus()
    for key, k in [
        ("ArrowDown", 121), ("ArrowUp", 120), ("PageDown", 130), ("PageUp", 120),
        ("Home", 0), ("ArrowUp", 0), ("End", 299), ("ArrowDown", 299),
        ("p", SECOND), ("p", LARGEST), ("n", SECOND), ("n", LARGEST),
    ]:  # fmt: skip
        page.keyboard.press(key)
        wait_for_slice(page, k)
    page.mouse.move(*centre_of(page))
    page.mouse.wheel(0, 120)
    wait_for_slice(page, LARGEST + 3)
    page.get_by_role("article").filter(has_text="Lesion 2").get_by_text("Show").click()
    wait_for_slice(page, SECOND)


def centre_of(page: Page) -> tuple[float, float]:
    box = page.locator("#current [data-part=frame]").bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_the_outline_on_the_screen_lies_where_the_mask_is(page: Page, shown: Shown) -> None:
    for k, key in ((LARGEST, "n"), (SECOND, "n"), (LARGEST, "p")):
        if slice_on(page) != k:
            page.keyboard.press(key)
            wait_for_slice(page, k)
        expected = shown.view.show(shown.mask[k])
        page.get_by_label("Filled").check()
        with_it = picture_of(page)
        page.keyboard.press("o")  # also while a box has the focus
        without = picture_of(page)
        changed = np.abs(with_it - without).sum(axis=2) > 30
        found = at_voxels(changed[..., None].astype(np.int64), expected.shape)[..., 0] > 0
        marked = expected > 0
        overlap = 2 * (found & marked).sum() / (found.sum() + marked.sum())
        assert overlap > 0.97, k
        page.keyboard.press("o")
        page.get_by_label("Filled").uncheck()
    keep_picture(page, "study-300-slices")


def test_greys_are_those_of_the_window(page: Page, shown: Shown) -> None:
    page.locator("#current [data-part=frame]").focus()
    page.keyboard.press("o")
    page.keyboard.press("2")  # full range
    k = slice_on(page)
    stack = page.request.get(f"{shown.path}/jobs/{shown.job.job_id}/stack").json()
    low, high = stack["windows"]["full range"]
    answer = page.request.get(f"{shown.path}/jobs/{shown.job.job_id}/slices/{k}")
    values = np.frombuffer(answer.body(), "<i2").reshape(stack["rows"], stack["columns"])
    expected = np.clip(np.round((values - low) * 255 / (high - low)), 0, 255)
    drawn = page.evaluate(
        """() => {
          const canvas = document.querySelector('#current canvas');
          const { width, height } = canvas;
          const { data } = canvas.getContext('2d').getImageData(0, 0, width, height);
          return Array.from({ length: width * height }, (_, n) => data[4 * n]);
        }"""
    )
    assert np.abs(np.array(drawn).reshape(expected.shape) - expected).max() <= 1
    before = page.locator("#current [data-part=grey]").inner_text()
    x, y = centre_of(page)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60, y + 40, steps=4)
    page.mouse.up()
    assert page.locator("#current [data-part=grey]").inner_text() != before
    page.keyboard.press("i")
    keep_picture(page, "study-inverted")


def test_opacity_is_changed_by_keys_and_by_the_slider(page: Page) -> None:
    svg = page.locator("#current [data-part=outlines]")
    page.locator("#current [data-part=frame]").focus()
    page.keyboard.press("[")
    page.keyboard.press("[")
    assert float(svg.evaluate("e => e.style.opacity")) == pytest.approx(0.8)
    slider = page.get_by_label("Opacity")
    slider.focus()
    page.keyboard.press("Home")
    assert float(svg.evaluate("e => e.style.opacity")) == 0.0


def test_three_hundred_slices_scroll_without_a_wait(page: Page) -> None:
    """What is scrolled to was fetched ahead: each step is drawn at once."""
    page.locator("#current [data-part=frame]").focus()
    page.keyboard.press("Home")
    wait_for_slice(page, 0)
    waits_ms = page.evaluate(
        """async (count) => {
          const root = document.querySelector('#current');
          const frame = root.querySelector('[data-part=frame]');
          const options = { key: 'ArrowDown', bubbles: true, cancelable: true };
          const waits = [];
          for (let k = 1; k <= count; k += 1) {
            const begin = performance.now();
            frame.dispatchEvent(new KeyboardEvent('keydown', options));
            while (root.dataset.slice !== String(k)) {
              if (performance.now() - begin > 60000) throw new Error(`no slice ${k}`);
              await new Promise((resolve) => setTimeout(resolve, 1));
            }
            waits.push(performance.now() - begin);
            await new Promise((resolve) => setTimeout(resolve, 60));
          }
          return waits;
        }""",
        SCROLLED,
    )
    print(f"median {np.median(waits_ms):.1f} ms, worst {max(waits_ms):.1f} ms")
    fetched_ahead = sum(wait < 50 for wait in waits_ms)
    assert fetched_ahead >= 0.8 * SCROLLED, waits_ms


def test_a_reader_disagrees_and_corrects(page: Page, shown: Shown) -> None:
    store = FeedbackStore(shown.services.engine)
    lesion = page.locator("#lesion-2")
    lesion.get_by_label("Comment").fill("Looks like a vessel.")
    lesion.get_by_role("button", name="Disagree").click()
    page.locator("#lesion-2 .said.disagree").wait_for()
    assert "Looks like a vessel." in page.locator("#lesion-2 .said").inner_text()
    page.locator("#lesion-2").get_by_label("It is").select_option("Benign")
    page.locator("#lesion-2").get_by_role("button", name="Correct").click()
    page.locator("#lesion-2 .said.corrected-class").wait_for()
    latest, first = store.list(job=shown.job.job_id, superseded=True)
    assert (first.opinion.kind, latest.opinion.kind) == (
        FeedbackKind.DISAGREE,
        FeedbackKind.CORRECTED_CLASS,
    )
    assert latest.opinion.class_after == "Benign"
    assert page.locator("#lesion-1 .said").count() == 0


def test_an_operator_stops_a_job_and_has_it_done_again(page: Page, shown: Shown) -> None:
    ledger = shown.services.ledger
    page.get_by_role("button", name="Stop").click()
    state = page.locator("#progress .state").first
    expect(state).to_have_text("cancelled", timeout=PATIENCE_MS)
    assert ledger.get(shown.job.job_id).state is JobState.CANCELLED
    page.get_by_role("button", name="Do again").click()
    expect(state).to_have_text("queued", timeout=PATIENCE_MS)
    assert ledger.get(shown.job.job_id).state is JobState.QUEUED
    keep_picture(page, "study-queued")


@dataclass(frozen=True, kw_only=True)
class FollowedUp:
    """A study beside which an earlier one stands, with slices twice as far apart."""

    services: Services
    address: str
    path: str


@pytest.fixture(scope="module")
def followed_up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FollowedUp]:
    folder = tmp_path_factory.mktemp("prior")
    parts = web_parts(folder)
    masks = {"first": two_lesions()["first"]}
    before = make_series(
        folder / "before",
        axes(shape=(SHAPE[0] // 2, *SHAPE[1:]), spacing_mm=(2.0, 1.2, 0.8)),
        headers={"StudyDate": "20251102", "StudyInstanceUID": "2.25.20251102"},
    )
    sr = {"kind": "sr", "file": "sr.dcm", "sop_instance_uid": "2.25.5"}
    seg = {"kind": "seg", "file": "seg.dcm"}
    earlier = {**LESION, "number": 1, "tracking_uid": "2.25.76"}
    prior = finish_study(
        parts,
        before,
        {"first": masks["first"][::2]},
        result={**RESULT, "lesions": [earlier], "evidence": [seg, sr]},
    )
    now = make_series(folder / "now", axes(shape=SHAPE, spacing_mm=(1.0, 1.2, 0.8)))
    told = compared_with(prior, sr_sop_instance_uid="2.25.5")
    job = finish_study(parts, now, masks, result={**RESULT, "comparison": told})
    services = web_services(parts)
    with served(services) as address:
        yield FollowedUp(
            services=services, address=address, path=f"/studies/{job.study_instance_uid}"
        )
    parts.engine.dispose()


def test_the_earlier_examination_stands_beside_and_scrolls_along(
    browser: Browser, followed_up: FollowedUp
) -> None:
    accounts = followed_up.services.accounts
    with logged_in(browser, followed_up.address, accounts, Role.VIEWER) as page:
        page.goto(followed_up.path)
        for name in ("current", "prior"):
            page.locator(f"#{name}[data-ready]").wait_for()
        wait_for_slice(page, LARGEST)
        prior = page.locator("#prior")
        page.get_by_role("article").filter(has_text="Lesion 1").get_by_text("Show").click()
        expect(prior).to_have_attribute("data-slice", str(LARGEST // 2))
        page.keyboard.press("PageDown")  # 10 mm are five slices there
        wait_for_slice(page, LARGEST + 10)
        expect(prior).to_have_attribute("data-slice", str(LARGEST // 2 + 5))
        keep_picture(page, "study-prior")
        page.get_by_label("Scroll both together").uncheck()
        page.locator("#current [data-part=frame]").focus()
        page.keyboard.press("PageUp")
        wait_for_slice(page, LARGEST)
        expect(prior).to_have_attribute("data-slice", str(LARGEST // 2 + 5))
        expect(page.get_by_text("1.00 → 1.50 ml (+50 %)").first).to_be_visible()
        expect(page.get_by_text("Lesion 9: vanished")).to_be_visible()
