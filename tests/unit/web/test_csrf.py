"""No other site can do anything in the name of a user."""

from dataclasses import replace
from datetime import timedelta

import pytest
from factories_ledger import add_job
from starlette import formparsers
from web_client import PASSWORD, Browser, add_user, browser_of, csrf_of, web_parts, web_services

from node.domain.role import Role
from node.jobs.state import JobState
from node.web import gate
from node.web.app import create_app
from node.web.gate import FORM, LOGIN_COOKIE, MAXIMUM_FORM_BYTES
from node.web.services import Services


@pytest.fixture
def failed(tmp_path) -> tuple[Services, str]:
    parts = web_parts(tmp_path)
    job = add_job(parts, "1.2.3", "failed")
    return web_services(parts), job.job_id


def state(services: Services, job_id: str) -> JobState:
    return services.ledger.get(job_id).state


def test_a_change_without_token_is_refused_and_with_it_is_done(failed) -> None:
    services, job_id = failed
    browser = browser_of(services, Role.OPERATOR)
    path = f"/jobs/{job_id}/retry"
    assert browser.post(path).status_code == 403
    assert browser.post(path, data={"csrf_token": "guessed"}).status_code == 403
    assert browser.post(path, headers={"X-CSRF-Token": "guessed"}).status_code == 403
    assert browser.post(f"{path}?csrf_token={browser.token_on('/jobs')}").status_code == 403
    assert state(services, job_id) is JobState.FAILED
    done = browser.post(path, data={"csrf_token": browser.token_on("/jobs"), "back": "/jobs"})
    assert done.headers["location"] == "/jobs"
    assert state(services, job_id) is JobState.QUEUED


def test_the_header_of_htmx_is_as_good_as_the_field(failed) -> None:
    services, job_id = failed
    browser = browser_of(services, Role.OPERATOR)
    headers = {"X-CSRF-Token": browser.token_on("/jobs"), "HX-Request": "true"}
    answer = browser.post(f"/jobs/{job_id}/retry", headers=headers)
    assert answer.status_code == 200
    assert answer.text.lstrip().startswith(f'<tr id="row-{job_id}"')
    assert state(services, job_id) is JobState.QUEUED


def test_the_token_of_one_user_is_nothing_to_another(failed) -> None:
    services, job_id = failed
    other = browser_of(services, Role.ADMIN).token_on("/jobs")
    browser = browser_of(services, Role.OPERATOR)
    assert browser.post(f"/jobs/{job_id}/retry", data={"csrf_token": other}).status_code == 403
    assert state(services, job_id) is JobState.FAILED


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_what_the_browser_calls_foreign_is_refused_even_with_the_token(failed, headers) -> None:
    services, job_id = failed
    browser = browser_of(services, Role.OPERATOR)
    form = {"csrf_token": browser.token_on("/jobs")}
    assert browser.post(f"/jobs/{job_id}/retry", data=form, headers=headers).status_code == 403
    own = {"Origin": "http://node.example", "Sec-Fetch-Site": "same-origin"}
    assert browser.post(f"/jobs/{job_id}/retry", data=form, headers=own).status_code == 303


def test_nobody_can_be_logged_in_by_another_site(services: Services) -> None:
    add_user(services, "anna", Role.VIEWER)
    victim, attacker = Browser(create_app(services)), Browser(create_app(services))
    form = {"name": "anna", "password": PASSWORD}
    assert victim.post("/login", data=form).status_code == 403
    attackers = {"csrf_token": attacker.token_on("/login"), **form}
    assert victim.post("/login", data=attackers).status_code == 403
    assert victim.try_login("anna", PASSWORD).status_code == 303


def test_an_upload_must_carry_the_token_as_a_header(failed) -> None:
    services, _ = failed
    browser = browser_of(replace(services, hand_in=lambda _paths, _sender: ()), Role.OPERATOR)
    token = browser.token_on("/jobs")
    in_field = browser.post("/upload/file", data={"csrf_token": token})
    assert in_field.status_code == 403
    in_header = browser.post("/upload/file", content=b"x", headers={"X-CSRF-Token": token})
    assert in_header.status_code == 200


def strangers(services: Services) -> tuple[Browser, dict[str, str]]:
    browser = Browser(create_app(services))
    browser.cookies.set(LOGIN_COOKIE, "chosen")
    return browser, {"X-CSRF-Token": "chosen"}


def viewers(services: Services) -> tuple[Browser, dict[str, str]]:
    browser = browser_of(services, Role.VIEWER)
    return browser, {"X-CSRF-Token": browser.token_on("/account")}


def programs(services: Services) -> tuple[Browser, dict[str, str]]:
    add_user(services, "robot", Role.VIEWER)
    token = services.accounts.add_token("robot", label="", lasts=timedelta(days=1))
    return Browser(create_app(services)), {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize(
    ("visitors", "path"),
    [
        (strangers, "/login"),
        (viewers, "/account/password"),
        (viewers, "/studies/1.2.3/jobs/1/feedback"),
        (programs, "/studies/1.2.3/jobs/1/feedback"),
    ],
)
def test_whoever_sends_it_a_form_is_small_and_holds_no_files(
    failed, visitors, path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("it was written to the disk")

    monkeypatch.setattr(formparsers, "SpooledTemporaryFile", never)
    browser, headers = visitors(failed[0])
    files = {"name": ("a", b"x")}
    assert browser.post(path, files=files, headers=headers).status_code == 415
    large = {"name": "x" * MAXIMUM_FORM_BYTES}
    assert browser.post(path, data=large, headers=headers).status_code == 413


def test_a_form_that_does_not_come_is_not_waited_for(
    failed, monkeypatch: pytest.MonkeyPatch
) -> None:
    services, job_id = failed
    monkeypatch.setattr(gate, "FORM_S", 0.05)
    browser = browser_of(services, Role.OPERATOR)
    half = f"csrf_token={browser.token_on('/jobs')}".encode()
    path = f"/jobs/{job_id}/retry"
    answered = browser.break_off(path, half, {"Content-Type": FORM}, hangs=True)
    assert answered[0]["status"] == 408
    assert state(services, job_id) is JobState.FAILED


def test_half_a_form_does_nothing(failed) -> None:
    services, job_id = failed
    browser = browser_of(services, Role.OPERATOR)
    half = f"csrf_token={browser.token_on('/jobs')}&back=/jo".encode()
    assert browser.break_off(f"/jobs/{job_id}/retry", half, {"Content-Type": FORM}) == []
    assert state(services, job_id) is JobState.FAILED


def test_a_program_with_a_token_needs_no_cookie_and_no_csrf_token(failed) -> None:
    services, job_id = failed
    add_user(services, "robot", Role.OPERATOR)
    token = services.accounts.add_token("robot", label="", lasts=timedelta(days=1))
    program = Browser(create_app(services))
    path = f"/api/v1/jobs/{job_id}/retry"
    assert program.post(path).status_code == 401
    assert program.post(path, headers={"Authorization": "Bearer x"}).status_code == 401
    answer = program.post(path, headers={"Authorization": f"Bearer {token}"})
    assert answer.json()["state"] == "queued"


def test_a_token_ends(services: Services, clock) -> None:
    add_user(services, "robot", Role.VIEWER)
    token = services.accounts.add_token("robot", label="", lasts=timedelta(days=1))
    program = Browser(create_app(services))
    asked = {"Authorization": f"Bearer {token}"}
    assert program.get("/api/v1/disk", headers=asked).status_code == 200
    clock.pass_by(timedelta(days=1))
    assert program.get("/api/v1/disk", headers=asked).status_code == 401


def test_the_page_gives_htmx_the_token(services: Services) -> None:
    page = browser_of(services, Role.VIEWER).get("/account").text
    assert f'"X-CSRF-Token": "{csrf_of(page)}"' in page


def test_what_no_text_may_hold_is_refused_before_the_database_sees_it(failed) -> None:
    services, _ = failed
    browser = browser_of(services, Role.OPERATOR)
    for path in ("/jobs?text=a%00b", "/jobs/a%00b", "/api/v1/jobs?sender=%00"):
        assert browser.get(path).status_code == 400, path
    form = {"csrf_token": browser.token_on("/jobs"), "back": "/jobs\0"}
    assert browser.post("/jobs/1/retry", data=form).status_code == 400
