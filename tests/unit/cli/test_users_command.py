"""``onconode users``: who may use the page, as the administrator sees it."""

import io
from pathlib import Path

import pytest

from node.bootstrap.parts import Parts
from node.cli.app import main
from node.config.load import load_settings
from node.domain.role import Role
from node.storage.accounts import AccountStore
from node.telemetry.audit.verify import read_records
from node.web.passwords import verify_password

PASSWORD = "a grey seal on ice"


@pytest.fixture
def onconode(tmp_path: Path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    config = tmp_path / "conf"
    config.mkdir()
    (config / "node.yaml").write_text(f"data_dir: {tmp_path / 'data'}\n")

    def run(*words: str, typed: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        try:
            main(["--config", str(config), "users", *words])
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    run.accounts = lambda: AccountStore(  # type: ignore[attr-defined]  # a function that carries them
        Parts(settings=load_settings(config, environment={})).engine
    )
    run.audit = tmp_path / "data" / "audit"  # type: ignore[attr-defined]  # a function that carries them
    return run


def test_a_user_is_added_with_the_password_that_was_typed(onconode) -> None:
    assert onconode("list") == (0, "no users\n", "")
    code, out, _ = onconode("add", "Anna", "--role", "admin", typed=PASSWORD + "\n")
    assert code == 0
    assert PASSWORD not in out
    assert onconode.accounts().find_user("anna").role is Role.ADMIN
    assert verify_password(onconode.accounts().password_hash("anna"), PASSWORD)
    assert "anna" in onconode("list")[1]


@pytest.mark.parametrize("typed", ["short\n", "anna12345678\n", "\n", "x" * 300 + "\n"])
def test_a_weak_password_is_refused(onconode, typed: str) -> None:
    assert onconode("add", "anna", typed=typed)[0] == 2
    assert not onconode.accounts().has_users()


def test_a_made_password_is_printed_once_and_has_to_be_changed(onconode) -> None:
    _, out, _ = onconode("add", "bert", "--generate")
    password = out.strip().splitlines()[-1]
    assert verify_password(onconode.accounts().password_hash("bert"), password)
    assert onconode.accounts().find_user("bert").must_change
    assert "to be changed at login" in onconode("list")[1]


def test_role_password_token_logout_and_removal(onconode) -> None:
    onconode("add", "anna", typed=PASSWORD + "\n")
    token = onconode("token", "anna", "--label", "x")[1].strip()
    assert onconode.accounts().user_of_token(token).name == "anna"
    assert onconode("role", "anna", "operator")[0] == 0
    assert onconode.accounts().find_user("anna").role is Role.OPERATOR
    assert onconode.accounts().user_of_token(token) is None
    token = onconode("token", "anna")[1].strip()
    assert onconode("logout", "anna")[0] == 0
    assert onconode.accounts().user_of_token(token) is None
    assert onconode("password", "anna", typed="two grey seals on ice\n")[0] == 0
    assert verify_password(onconode.accounts().password_hash("anna"), "two grey seals on ice")
    assert onconode("remove", "anna")[0] == 0
    assert not onconode.accounts().has_users()


@pytest.mark.parametrize(
    "words",
    [("remove", "x"), ("password", "x"), ("role", "x", "admin"), ("token", "x"), ("logout", "x")],
)
def test_a_user_that_is_not_there_is_told(onconode, words) -> None:
    code, _, err = onconode(*words, typed=PASSWORD + "\n")
    assert code == 2
    assert "no user 'x'" in err


def test_a_second_user_of_a_name_is_refused(onconode) -> None:
    onconode("add", "anna", typed=PASSWORD + "\n")
    code, _, err = onconode("add", "ANNA", typed=PASSWORD + "\n")
    assert code == 2
    assert "already" in err


def test_every_change_is_in_the_audit_trail_without_secrets(onconode) -> None:
    onconode("add", "anna", "--role", "admin", typed=PASSWORD + "\n")
    token = onconode("token", "anna")[1].strip()
    added, made = (record["xml"] for record in read_records(onconode.audit))
    assert '"110136"' in added
    assert '"110137"' in made
    assert PASSWORD not in added
    assert token not in made
