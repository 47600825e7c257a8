"""Who gets in, for how long, and how often a password may be guessed."""

from datetime import timedelta

import pytest
from web_client import PASSWORD, WRONG, Browser, Clock, add_user, audit_messages, browser_of

from node.domain.role import Role
from node.web.app import create_app
from node.web.gate import cookie_name
from node.web.logging_in import FREE_OF_ADDRESS, FREE_OF_USER, WINDOW
from node.web.services import Services


@pytest.fixture
def browser(services: Services) -> Browser:
    add_user(services, "anna", Role.VIEWER)
    return Browser(create_app(services))


def is_in(browser: Browser) -> bool:
    return browser.get("/account").status_code == 200


def test_the_right_password_lets_in_and_the_wrong_one_does_not(browser: Browser) -> None:
    refused = browser.try_login("anna", WRONG)
    assert refused.status_code == 401
    assert "Name or password is wrong" in refused.text
    assert WRONG not in refused.text
    assert not is_in(browser)
    assert browser.try_login(" Anna", PASSWORD).status_code == 303
    assert is_in(browser)


def test_an_unknown_user_is_told_the_same_as_a_wrong_password(browser: Browser) -> None:
    known, unknown = browser.try_login("anna", WRONG), browser.try_login("nobody", WRONG)
    assert known.status_code == unknown.status_code == 401
    assert "Name or password is wrong" in unknown.text


def test_the_cookie_is_kept_from_scripts_and_other_sites(browser: Browser) -> None:
    cookie = browser.try_login("anna", PASSWORD).headers.get_list("set-cookie")[0].lower()
    assert cookie.startswith("onconode=")
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "secure" not in cookie


def test_under_tls_the_cookie_never_leaves_tls(services: Services) -> None:
    add_user(services, "anna", Role.VIEWER)
    browser = Browser(create_app(services), scheme="https")
    cookie = browser.try_login("anna", PASSWORD).headers.get_list("set-cookie")[0]
    assert cookie.startswith("__Host-onconode=")
    assert "; secure" in cookie.lower()
    assert "path=/;" in cookie.lower()
    assert is_in(browser)


@pytest.mark.parametrize(
    ("next_", "place"),
    [
        ("/jobs", "/jobs"),
        ("//evil.example/", "/"),
        ("https://evil.example/", "/"),
        ("/\\evil.example", "/"),
    ],
)
def test_the_way_after_the_login_stays_on_this_site(
    browser: Browser, next_: str, place: str
) -> None:
    assert browser.try_login("anna", PASSWORD, next=next_).headers["location"] == place


def test_every_login_begins_a_session_of_its_own(services: Services, browser: Browser) -> None:
    browser.log_in("anna")
    name = cookie_name("http")
    first = browser.cookies[name]
    other = Browser(create_app(services)).log_in("anna")
    assert other.cookies[name] != first
    planted = Browser(create_app(services))
    planted.cookies.set(name, "chosen-by-somebody-else")
    planted.log_in("anna")
    assert [c.value for c in planted.cookies.jar if c.name == name] != ["chosen-by-somebody-else"]


def test_guessing_has_to_wait_longer_and_longer(browser: Browser, clock: Clock) -> None:
    for _ in range(FREE_OF_USER):
        assert browser.try_login("anna", WRONG).status_code == 401
    refused = browser.try_login("anna", PASSWORD)
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["retry-after"]) <= 31
    clock.pass_by(timedelta(seconds=32))
    assert browser.try_login("anna", WRONG).status_code == 401
    assert int(browser.try_login("anna", PASSWORD).headers["retry-after"]) > 32
    clock.pass_by(timedelta(seconds=62))
    assert browser.try_login("anna", PASSWORD).status_code == 303


def test_one_address_cannot_guess_at_many_users_but_others_get_in(
    services: Services, browser: Browser, clock: Clock
) -> None:
    for number in range(FREE_OF_ADDRESS):
        services.accounts.note_failure(f"user-{number}", "192.0.2.7")
    assert browser.try_login("anna", PASSWORD).status_code == 429
    elsewhere = Browser(create_app(services), address="198.51.100.9")
    assert elsewhere.try_login("anna", PASSWORD).status_code == 303
    clock.pass_by(WINDOW)
    assert browser.try_login("anna", PASSWORD).status_code == 303


def test_an_idle_session_ends_and_a_used_one_lasts(browser: Browser, clock: Clock) -> None:
    browser.log_in("anna")
    for _ in range(4):
        clock.pass_by(timedelta(minutes=20))
        assert is_in(browser)
    clock.pass_by(timedelta(minutes=31))
    assert not is_in(browser)


def test_what_an_open_page_asks_by_itself_keeps_no_session_alive(
    browser: Browser, clock: Clock
) -> None:
    browser.log_in("anna")
    for path in ("/query/fetches", "/studies/1.2.3/progress"):
        clock.pass_by(timedelta(minutes=10))
        assert browser.get(path).status_code != 303, path
    clock.pass_by(timedelta(minutes=11))
    assert not is_in(browser)


def test_no_use_makes_a_session_last_for_ever(browser: Browser, clock: Clock) -> None:
    browser.log_in("anna")
    for _ in range(30):
        clock.pass_by(timedelta(minutes=25))
        still = is_in(browser)
    assert not still


def test_a_logout_ends_the_session_and_not_only_the_cookie(browser: Browser) -> None:
    browser.log_in("anna")
    kept = browser.cookies[cookie_name("http")]
    assert browser.act("/logout").headers["location"] == "/login"
    assert not is_in(browser)
    browser.cookies.set(cookie_name("http"), kept)
    assert not is_in(browser)


def test_a_logout_everywhere_ends_every_session_and_token_of_this_user_only(
    services: Services, browser: Browser
) -> None:
    app = create_app(services)
    here, there = browser.log_in("anna"), Browser(app).log_in("anna")
    other = browser_of(services, Role.OPERATOR)
    token = services.accounts.add_token("anna", label="x", lasts=timedelta(days=1))
    here.act("/logout", everywhere="true")
    assert not is_in(there)
    assert is_in(other)
    assert services.accounts.user_of_token(token) is None


def test_a_given_password_has_to_be_changed_before_anything_else(services: Services) -> None:
    add_user(services, "bert", Role.VIEWER, must_change=True)
    browser = Browser(create_app(services)).log_in("bert")
    assert browser.get("/").headers["location"] == "/account"
    assert browser.get("/api/v1/jobs").status_code == 403
    fresh = "two grey seals on ice"
    form = {"old": PASSWORD, "new": fresh, "again": fresh}
    assert browser.act("/account/password", **form).headers["location"] == "/login"
    assert browser.try_login("bert", PASSWORD).status_code == 401
    assert browser.try_login("bert", fresh).status_code == 303
    assert browser.get("/").status_code == 200


@pytest.mark.parametrize(
    ("old", "new", "again", "told"),
    [
        (WRONG, "two grey seals on ice", "two grey seals on ice", "present password is wrong"),
        (PASSWORD, "two grey seals on ice", "two grey seals", "not typed twice alike"),
        (PASSWORD, "short", "short", "12 to 256"),
        (PASSWORD, "anna12345678", "anna12345678", "12 to 256"),
        (PASSWORD, "aaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaa", "12 to 256"),
        (PASSWORD, PASSWORD, PASSWORD, "present password"),
    ],
)
def test_a_password_is_not_changed_for_a_bad_one(
    browser: Browser, old: str, new: str, again: str, told: str
) -> None:
    browser.log_in("anna")
    answer = browser.act("/account/password", old=old, new=new, again=again)
    assert answer.status_code == 400
    assert told in answer.text
    assert is_in(browser)


def test_logins_and_failures_are_in_the_audit_trail_without_passwords(
    services: Services, browser: Browser
) -> None:
    browser.try_login("anna", WRONG)
    browser.log_in("anna")
    browser.act("/logout")
    failed, entered, left = (m for m in audit_messages(services) if '"110114"' in m)
    assert 'EventOutcomeIndicator="4"' in failed
    assert '"110122"' in failed
    assert '"110122"' in entered
    assert 'EventOutcomeIndicator="0"' in entered
    assert '"110123"' in left
    for message in (failed, entered, left):
        assert 'UserID="anna"' in message
        assert 'NetworkAccessPointID="192.0.2.7"' in message
        assert WRONG not in message
        assert PASSWORD not in message


def test_without_any_user_the_page_says_how_to_make_one(services: Services) -> None:
    page = Browser(create_app(services)).get("/login").text
    assert "onconode users add NAME --role admin" in page


def test_a_language_is_kept_with_the_user(browser: Browser) -> None:
    browser.log_in("anna")
    assert '<html lang="en"' in browser.get("/account").text
    browser.act("/account/language", language="zh")
    assert '<html lang="zh"' in browser.get("/account").text
    browser.act("/account/language", language="tlh")
    assert '<html lang="zh"' in browser.get("/account").text


def test_a_second_window_does_not_spoil_the_form_of_the_first(browser: Browser) -> None:
    token = browser.token_on("/login")
    browser.get("/login")
    form = {"csrf_token": token, "name": "anna", "password": PASSWORD}
    assert browser.post("/login", data=form).status_code == 303
