"""Users, sessions, tokens and failed logins, on both databases."""

from datetime import timedelta

import pytest
from sqlalchemy import Engine, text
from stopped_clock import StoppedClock

from node.domain.role import Role
from node.storage.accounts import AccountStore

IDLE, LONGEST = timedelta(minutes=30), timedelta(hours=12)
TIMES = {"idle": IDLE, "longest": LONGEST}


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
def accounts(engine: Engine, clock: StoppedClock) -> AccountStore:
    store = AccountStore(engine, now=clock)
    store.add_user("Anna", Role.OPERATOR, "hash")
    return store


def test_a_name_is_one_however_it_is_written(accounts: AccountStore) -> None:
    found = accounts.find_user(" ANNA ")
    assert found is not None
    assert (found.name, found.role, found.has_password) == ("anna", Role.OPERATOR, True)
    assert accounts.password_hash("aNNa") == "hash"
    with pytest.raises(ValueError, match="already"):
        accounts.add_user("anna", Role.VIEWER, "other")
    for name in ("", "  ", "x" * 65):
        with pytest.raises(ValueError, match="characters"):
            accounts.add_user(name, Role.VIEWER, "other")


def test_users_are_listed_and_removed_with_all_that_is_theirs(
    accounts: AccountStore, engine: Engine
) -> None:
    accounts.add_user("bert", Role.ADMIN, "")
    assert [user.name for user in accounts.list_users()] == ["anna", "bert"]
    accounts.begin_session("anna", address="192.0.2.1")
    accounts.add_token("anna", label="x", lasts=timedelta(days=1))
    accounts.remove_user("ANNA")
    with engine.connect() as connection:
        for table in ("web_sessions", "web_tokens"):
            assert connection.scalar(text(f"SELECT count(*) FROM {table}")) == 0
    assert [user.name for user in accounts.list_users()] == ["bert"]
    with pytest.raises(KeyError):
        accounts.remove_user("anna")


def test_no_token_stands_in_the_database(accounts: AccountStore, engine: Engine) -> None:
    token, session = accounts.begin_session("anna", address="")
    programs = accounts.add_token("anna", label="x", lasts=timedelta(days=1))
    with engine.connect() as connection:
        sessions = connection.execute(text("SELECT * FROM web_sessions")).all()
        tokens = connection.execute(text("SELECT * FROM web_tokens")).all()
    assert token not in repr(sessions)
    assert programs not in repr(tokens)
    assert session.token_sha256 in repr(sessions)


def test_a_session_lasts_while_it_is_used_and_no_longer_than_the_longest(
    accounts: AccountStore, clock: StoppedClock
) -> None:
    token, begun = accounts.begin_session("anna", address="192.0.2.1")
    for _ in range(23):
        clock.pass_seconds(29 * 60)
        found = accounts.find_session(token, **TIMES)
        assert found is not None
        assert found.csrf_token == begun.csrf_token
    clock.pass_seconds(29 * 60)
    clock.pass_seconds(29 * 60)
    assert accounts.find_session(token, **TIMES) is None  # 12 hours


def test_a_look_is_no_use(accounts: AccountStore, clock: StoppedClock) -> None:
    token, session = accounts.begin_session("anna", address="")
    clock.pass_seconds(29 * 60)
    assert accounts.find_session(token, **TIMES, is_use=False) is not None
    assert accounts.is_open(session.token_sha256, **TIMES)
    clock.pass_seconds(2 * 60)
    assert accounts.find_session(token, **TIMES) is None
    assert not accounts.is_open(session.token_sha256, **TIMES)


@pytest.mark.parametrize("change", ["password", "role", "everywhere"])
def test_what_changes_a_user_ends_what_the_user_had_open(
    accounts: AccountStore, change: str
) -> None:
    token, _ = accounts.begin_session("anna", address="")
    programs = accounts.add_token("anna", label="x", lasts=timedelta(days=1))
    {
        "password": lambda: accounts.change_password("anna", "new"),
        "role": lambda: accounts.change_role("anna", Role.VIEWER),
        "everywhere": lambda: accounts.end_all("anna"),
    }[change]()
    assert accounts.find_session(token, **TIMES) is None
    assert accounts.user_of_token(programs) is None


def test_a_newer_hash_or_another_language_ends_nothing(accounts: AccountStore) -> None:
    token, _ = accounts.begin_session("anna", address="")
    accounts.rehash("anna", "stronger")
    accounts.choose_language("anna", "zh")
    found = accounts.find_session(token, **TIMES)
    assert found is not None
    assert found.user.language == "zh"
    assert accounts.password_hash("anna") == "stronger"


def test_failures_count_for_a_while_by_user_and_by_address(
    accounts: AccountStore, clock: StoppedClock
) -> None:
    window = timedelta(minutes=15)
    accounts.note_failure("anna", "192.0.2.1")
    clock.pass_seconds(60)
    accounts.note_failure("ANNA", "192.0.2.2")
    accounts.note_failure("nobody", "192.0.2.1")
    of_user, of_address = accounts.failures("anna", "192.0.2.1", within=window)
    assert (of_user.count, of_address.count) == (2, 2)
    assert of_user.last_at == clock()
    accounts.forget_failures("anna")
    of_user, of_address = accounts.failures("anna", "192.0.2.1", within=window)
    assert (of_user.count, of_user.last_at, of_address.count) == (0, None, 1)
    clock.pass_seconds(15 * 60)
    assert accounts.failures("nobody", "192.0.2.1", within=window)[0].count == 0


def test_what_has_ended_is_forgotten_and_what_has_not_is_kept(
    accounts: AccountStore, clock: StoppedClock, engine: Engine
) -> None:
    accounts.begin_session("anna", address="old")
    accounts.add_token("anna", label="old", lasts=timedelta(minutes=5))
    accounts.note_failure("anna", "old")
    clock.pass_seconds(31 * 60)
    accounts.begin_session("anna", address="new")
    accounts.add_token("anna", label="new", lasts=timedelta(minutes=5))
    accounts.note_failure("anna", "new")
    accounts.forget_ended(**TIMES, failures=timedelta(minutes=15))
    with engine.connect() as connection:
        for table, column in (
            ("web_sessions", "address"),
            ("web_tokens", "label"),
            ("web_failures", "address"),
        ):
            assert connection.scalars(text(f"SELECT {column} FROM {table}")).all() == ["new"]
