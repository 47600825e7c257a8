"""The JSON API says what the ledger holds; the probes say how the node is."""

from datetime import timedelta

import pytest
from factories_ledger import add_job
from web_client import Browser, add_user, audit_messages, web_parts, web_services

from node.bootstrap.parts import Parts
from node.domain.role import Role
from node.jobs.job import Job
from node.web import streams
from node.web.app import create_app
from node.web.services import Services


class Program:
    """Asks the API with a token."""

    def __init__(self, services: Services, role: Role) -> None:
        name = f"program-{role.value}"
        add_user(services, name, role)
        token = services.accounts.add_token(name, label="test", lasts=timedelta(hours=1))
        self._client = Browser(create_app(services))
        self._headers = {"Authorization": f"Bearer {token}"}

    def get(self, path: str, **keys: object):
        return self._client.get(f"/api/v1/{path}", params=keys, headers=self._headers)

    def post(self, path: str):
        return self._client.post(f"/api/v1/{path}", headers=self._headers)

    def probe(self, path: str):
        return self._client.get(path, headers=self._headers)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    return web_parts(tmp_path_factory.mktemp("api"))


@pytest.fixture(scope="module")
def jobs(parts: Parts) -> dict[str, Job]:
    states = ("delivered", "failed", "rejected", "cancelled", "sending", "running")
    made = {state: add_job(parts, f"1.2.{n}", state) for n, state in enumerate(states, start=1)}
    made["queued"] = add_job(parts, "1.2.9", "queued")
    return made


@pytest.fixture(scope="module")
def services(parts: Parts, jobs: dict[str, Job]) -> Services:
    return web_services(parts)


@pytest.fixture(scope="module")
def program(services: Services) -> Program:
    return Program(services, Role.OPERATOR)


def test_jobs_are_found_by_state_study_and_sender(program: Program, jobs: dict[str, Job]) -> None:
    everything = program.get("jobs").json()
    assert everything["total"] == len(jobs)
    assert everything["items"][0]["job_id"] == jobs["queued"].job_id
    (failed,) = program.get("jobs", state="failed").json()["items"]
    assert failed["job_id"] == jobs["failed"].job_id
    assert failed["error"] == "broken"
    assert program.get("jobs", study="1.2.3").json()["items"][0]["state"] == "rejected"
    assert program.get("jobs", sender="CT1").json()["total"] == len(jobs)
    assert program.get("jobs", sender="CT2").json()["total"] == 0


def test_a_list_comes_in_pages(program: Program, jobs: dict[str, Job]) -> None:
    pages = [program.get("jobs", limit=3, offset=offset).json() for offset in (0, 3, 6, 9)]
    found = [item["job_id"] for page in pages for item in page["items"]]
    assert len(found) == len(set(found)) == len(jobs)
    assert {page["total"] for page in pages} == {len(jobs)}


def test_a_job_comes_with_history_deliveries_and_problems(
    program: Program, jobs: dict[str, Job]
) -> None:
    whole = program.get(f"jobs/{jobs['delivered'].job_id}").json()
    assert [event["event"] for event in whole["events"]] == ["add", "claim", "finish", "accepted"]
    assert [(d["destination"], d["state"]) for d in whole["deliveries"]] == [("pacs", "accepted")]
    rejected = program.get(f"jobs/{jobs['rejected'].job_id}").json()
    assert rejected["job"]["problems"][0]["remedy"] == "z"
    assert program.get("jobs/abc").status_code == 404


def test_studies_and_deliveries(program: Program, jobs: dict[str, Job]) -> None:
    studies = program.get("studies").json()["items"]
    assert "1.2.1" in {study["study_instance_uid"] for study in studies}
    whole = program.get("studies/1.2.1").json()
    assert whole["study"]["objects"] == 1
    assert [job["state"] for job in whole["jobs"]] == ["delivered"]
    assert program.get("studies/1.2").status_code == 404  # a part of a UID is no study
    accepted = program.get("deliveries", state="accepted").json()
    assert [item["sop_instance_uid"] for item in accepted["items"]] == ["1.2.1.9"]
    assert program.get("deliveries", peer="nobody").json()["total"] == 0


def test_the_overview_counts_what_is_there(program: Program, jobs: dict[str, Job]) -> None:
    seen = program.get("overview").json()
    steps = {step["name"]: step["count"] for step in seen["steps"]}
    assert steps["queued"] == 1
    assert steps["load"] == 1
    assert steps["sending"] == 1
    assert steps["delivered"] == 1
    assert [job["job_id"] for job in seen["running"]] == [jobs["running"].job_id]
    kinds = {alarm["kind"] for alarm in seen["alarms"]}
    assert {"jobs-failed", "studies-rejected", "bundle-missing", "process-down"} <= kinds
    (peer,) = seen["peers"]
    assert (peer["name"], peer["waiting"]) == ("pacs", 1)
    assert seen["bundles"] == [{"name": "b", "version": "", "rules": ["r"]}]
    assert program.get("peers").json() == seen["peers"]
    assert program.get("disk").json()["free_bytes"] > 0


def test_the_stream_ends_after_so_many_events(program: Program) -> None:
    answer = program.get("events", most=1)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text.startswith("event: overview\r\ndata: {")


def test_the_stream_of_a_token_that_is_no_more_ends(
    services: Services, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "ASK_SESSION_EVERY_S", 0.0)
    monkeypatch.setattr(streams, "LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(services.accounts, "user_of_token", once(services.accounts.user_of_token))
    answer = program.get("events")
    assert "event: ended" in answer.text


def once(ask):
    """Let it be asked once, by the gate; then the token is no more."""
    left = [1]
    return lambda token: ask(token) if left and left.pop() else None


def test_a_retry_that_is_not_possible_says_so(program: Program, jobs: dict[str, Job]) -> None:
    assert program.post(f"jobs/{jobs['running'].job_id}/retry").status_code == 409
    assert program.post("jobs/abc/retry").status_code == 404
    assert program.post(f"jobs/{jobs['running'].job_id}/explode").status_code == 422


def test_a_viewer_changes_nothing(services: Services, jobs: dict[str, Job]) -> None:
    viewer = Program(services, Role.VIEWER)
    assert viewer.post(f"jobs/{jobs['failed'].job_id}/retry").status_code == 403
    assert services.ledger.get(jobs["failed"].job_id).state == "failed"


def test_what_an_operator_does_is_in_the_audit_trail(tmp_path) -> None:
    parts = web_parts(tmp_path)
    job = add_job(parts, "1.2.3", "queued")
    services = web_services(parts)
    program = Program(services, Role.OPERATOR)
    assert program.post(f"jobs/{job.job_id}/cancel").json()["state"] == "cancelled"
    assert program.get(f"jobs/{job.job_id}").json()["job"]["error"] == (
        "cancelled by program-operator"
    )
    changed, viewed = audit_messages(services)
    assert '"110111"' in changed
    assert f"cancel of job {job.job_id}" in changed
    assert '"110103"' in viewed
    for message in (changed, viewed):
        assert 'UserID="program-operator" UserIsRequestor="true"' in message
        assert 'ParticipantObjectID="1.2.3"' in message


def test_delivered_results_are_sent_again(tmp_path) -> None:
    parts = web_parts(tmp_path)
    job = add_job(parts, "1.2.3", "delivered")
    services = web_services(parts)
    program = Program(services, Role.OPERATOR)
    assert program.post(f"jobs/{job.job_id}/resend").json()["state"] == "sending"
    (delivery,) = parts.ledger.claim_deliveries("o")
    assert delivery.sop_instance_uid == "1.2.3.9"


def test_probes(program: Program) -> None:
    assert program.probe("/health").text == "alive\n"
    ready = program.probe("/ready")
    assert ready.status_code == 503  # there is no listener
    assert ready.json() == {"ready": False, "database": True, "disk": True, "listener": False}
    metrics = program.probe("/metrics").text
    assert 'onconode_jobs{state="failed"} 1.0' in metrics
    assert "1.2." not in metrics.replace('le="', "")  # no UID


def test_a_database_that_does_not_answer_is_told_as_later(tmp_path) -> None:
    parts = web_parts(tmp_path)
    services = web_services(parts)
    program = Program(services, Role.VIEWER)
    with parts.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE jobs RENAME TO jobs_away")
    answer = program.get("jobs")
    assert answer.status_code == 503
    assert "jobs_away" not in answer.text
    with parts.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE web_tokens RENAME TO tokens_away")
    assert program.get("jobs").status_code == 503
