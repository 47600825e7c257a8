"""Security headers stand on every answer, and nothing in a page breaks the policy."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from web_client import Browser, browser_of

from node.domain.role import Role
from node.web.app import create_app
from node.web.rendering import HERE, static_address
from node.web.services import Services

TEMPLATES = sorted((HERE / "templates").rglob("*.html"))


def check(headers) -> None:
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["form-action"] == "'self'"
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["x-frame-options"] == "DENY"
    assert "server" not in headers


@pytest.mark.parametrize("path", ["/login", "/", "/no-such", "/api/v1/jobs", "/static/style.css"])
def test_strangers_get_them_too(services: Services, path: str) -> None:
    answer = Browser(create_app(services)).get(path)
    check(answer.headers)
    assert "strict-transport-security" not in answer.headers


def test_a_bug_is_answered_with_them_and_without_its_details(services: Services) -> None:
    def broken():
        raise ZeroDivisionError("secret detail")

    browser = browser_of(replace(services, metrics=broken), Role.ADMIN)
    answer = browser.get("/metrics")
    assert answer.status_code == 500
    check(answer.headers)
    assert "secret detail" not in answer.text


def test_under_tls_browsers_are_told_to_stay_there(services: Services) -> None:
    answer = Browser(create_app(services), scheme="https").get("/login")
    assert int(answer.headers["strict-transport-security"].partition("max-age=")[2]) >= 31536000


def test_pages_are_not_kept_and_static_files_may_be(services: Services) -> None:
    browser = browser_of(services, Role.VIEWER)
    assert browser.get("/account").headers["cache-control"] == "no-store"
    assert "no-store" not in browser.get(static_address("style.css")).headers.get(
        "cache-control", ""
    )


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_no_template_has_what_the_policy_forbids(template: Path) -> None:
    text = template.read_text("utf-8")
    assert not re.search(r"<script(?![^>]*\bsrc=)", text), "inline script"
    assert not re.search(r"<style|\sstyle=", text), "inline style"
    assert not re.search(r"\son[a-z]+=", text), "inline handler"
    assert not re.search(r'(?:src|href|action)="(?:https?:)?//', text), "from elsewhere"


def test_changing_forms_carry_the_token() -> None:
    for template in TEMPLATES:
        text = template.read_text("utf-8")
        for form in re.findall(r"<form\b.*?</form>", text, flags=re.DOTALL):
            if re.search(r'method="post"', form) and "multipart" not in form:
                assert 'name="csrf_token"' in form, template.name


def test_htmx_may_not_evaluate_text(services: Services) -> None:
    assert '"allowEval": false' in Browser(create_app(services)).get("/login").text
