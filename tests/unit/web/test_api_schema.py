"""Whatever the schema of the API allows, and much that it does not, makes no 5xx."""

from collections import Counter
from datetime import timedelta

import pytest
import schemathesis
from factories_ledger import add_job
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from web_client import add_user, web_parts, web_services

from node.domain.role import Role
from node.web.app import create_app

ENDLESS = "/api/v1/events"
"""A stream has no end to wait for; ``test_api`` and the integration test read it."""
NEGATIVE = GenerationMode.NEGATIVE
CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory):
    parts = web_parts(tmp_path_factory.mktemp("schema"))
    for number, state in enumerate(("delivered", "failed", "rejected", "queued"), start=1):
        add_job(parts, f"1.2.{number}", state)
    services = web_services(parts)
    add_user(services, "robot", Role.OPERATOR)
    token = services.accounts.add_token("robot", label="", lasts=timedelta(hours=1))
    app = create_app(services)
    headers = {"Authorization": f"Bearer {token}"}
    app.state.headers = headers
    return schemathesis.openapi.from_asgi("/api/v1/openapi.json", app, headers=headers)


def test_no_answer_is_an_error_of_the_server_and_each_is_as_the_schema_says(api) -> None:
    asked: Counter[str] = Counter()
    for found in api.exclude(path=ENDLESS).get_all_operations():
        operation = found.ok()

        @settings(
            max_examples=15,
            deadline=None,
            derandomize=True,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy() | operation.as_strategy(NEGATIVE))
        def ask(case: schemathesis.Case) -> None:
            response = case.call(headers=api.app.state.headers)
            case.validate_response(response, checks=CHECKS)
            asked[case.operation.label] += 1

        ask()
    assert len(asked) >= 11
    assert min(asked.values()) >= 1
    assert sum(asked.values()) >= 100
