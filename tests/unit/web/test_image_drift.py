"""A sender that changes its protocol is told from one that does not."""

from dataclasses import replace

import numpy as np
import pytest
from factories_ledger import queue_job
from factories_volumes import make_head, make_volume
from web_client import browser_of

from node.domain.role import Role
from node.language import words_of
from node.volume.statistics import NUMBERS, measure_image
from node.web.image_drift import (
    MINIMUM_STUDIES,
    OTHER_KERNEL,
    REFERENCE_STUDIES,
    compare_images,
    statistic_words,
)

LATER = MINIMUM_STUDIES + 5


def image_of(rng, *, thickness_mm=5.0, kernel="B30f", scanner="ACME One"):
    statistics = {"slice_thickness_mm": thickness_mm, "intensity_p50": float(rng.normal(0.5, 0.1))}
    return {"scanner": scanner, "kernel": kernel, "statistics": statistics}


def jobs_of(ledger, sender, images):
    """Done in this order; the latest comes first, as the ledger lists them."""
    jobs = [
        replace(
            queue_job(ledger, f"1.{sender[-1]}.{number}", calling_ae_title=sender),
            result={"lesions": [], "image": image},
        )
        for number, image in enumerate(images)
    ]
    return jobs[::-1]


@pytest.mark.parametrize(
    ("change", "drifted"),
    [
        ({}, []),
        ({"thickness_mm": 7.0}, ["slice_thickness_mm"]),  # above all that was there before
        ({"thickness_mm": 3.0}, ["slice_thickness_mm"]),
        ({"kernel": "B70f"}, [OTHER_KERNEL]),
    ],
)
def test_what_changed_is_told(ledger, change, drifted):
    rng = np.random.default_rng(5)
    images = [image_of(rng) for _ in range(REFERENCE_STUDIES)]
    images += [image_of(rng, **change) for _ in range(LATER)]
    (source,) = compare_images(jobs_of(ledger, "CT1", images))
    assert (source.calling_ae_title, source.scanner) == ("CT1", "ACME One")
    assert (source.reference, source.studies) == (REFERENCE_STUDIES, LATER)
    assert [drift.name for drift in source.drifted] == drifted


def test_sources_are_kept_apart_and_studies_count_once(ledger):
    rng = np.random.default_rng(5)
    one = jobs_of(ledger, "CT1", [image_of(rng) for _ in range(REFERENCE_STUDIES + LATER)])
    two = jobs_of(ledger, "CT2", [image_of(rng, scanner="ACME Two") for _ in range(3)])
    old = jobs_of(ledger, "CT3", [None, None])
    found = compare_images([*two, *one, *one, *old])
    assert [(each.scanner, each.reference, each.studies) for each in found] == [
        ("ACME One", REFERENCE_STUDIES, LATER),
        ("ACME Two", 3, 0),
    ]
    assert found[1].drifts == ()


def test_every_number_has_words_in_every_language():
    attributes = dict.fromkeys(NUMBERS.values(), "1")
    names = {*measure_image(make_volume(make_head((3, 20, 20))), attributes), OTHER_KERNEL}
    english, chinese = (statistic_words(words_of(language)) for language in ("en", "zh"))
    assert set(english) == set(chinese) == names
    assert [name for name in names if chinese[name] == english[name]] == []


@pytest.mark.parametrize(("language", "told"), [("en", "slice thickness"), ("zh", "层厚")])
def test_the_page_shows_it(services, language, told):
    rng = np.random.default_rng(5)
    for number in range(REFERENCE_STUDIES + LATER):
        job = queue_job(services.ledger, f"1.{number}", bundle="b", destinations=[])
        services.ledger.claim(f"w{number}")
        image = image_of(rng, thickness_mm=5.0 if number < REFERENCE_STUDIES else 7.0)
        result = {"lesions": [], "image": image}
        services.ledger.finish(job.job_id, f"w{number}", evidence=[], result=result)
    (services.models.root / "b" / "1.0.0").mkdir(parents=True)
    (services.models.root / "b" / "1.0.0" / "bundle.yaml").write_text("name: b\n")
    browser = browser_of(services, Role.VIEWER)
    page = browser.get("/evaluation?bundle=b", headers={"Accept-Language": language}).text
    assert "ACME One" in page
    assert told in page
    assert page.count('<strong class="bad">') == 1
