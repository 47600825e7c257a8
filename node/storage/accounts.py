"""Who may use the web page, and who is logged in.

Tokens are random and long, so that their SHA-256 is kept in their place; passwords come here as
hashes only.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from sqlalchemy import Engine, delete, func, or_, select, update
from sqlalchemy.orm import Session as DatabaseSession

from node.domain.role import Role
from node.storage.clock import utc_now
from node.storage.database import reading, writing
from node.storage.tables import WebFailureRow, WebSessionRow, WebTokenRow, WebUserRow

TOKEN_BYTES = 32
SEEN_EVERY = timedelta(seconds=30)
"""A session's last use is written so seldom: pages ask many times."""
LONGEST_NAME = 64


@dataclass(frozen=True, kw_only=True)
class User:
    """A person.

    Parameters
    ----------
    name : str
        Lower case.
    role : Role
    must_change : bool
        The password was given by another person and has to be changed first.
    language : str
        Empty: as the browser asks.
    created_at : datetime
    has_password : bool
        False for a person whom only an identity provider knows.
    """

    name: str
    role: Role
    must_change: bool
    language: str
    created_at: datetime
    has_password: bool


@dataclass(frozen=True, kw_only=True)
class Session:
    """A login.

    Parameters
    ----------
    token_sha256 : str
        Names it.
    user : User
    csrf_token : str
        Every changing request repeats it.
    address : str
        From where the login came.
    began_at, seen_at : datetime
    """

    token_sha256: str
    user: User
    csrf_token: str
    address: str
    began_at: datetime
    seen_at: datetime


class AccountStore:
    """Users, sessions, tokens of programs, and failed logins.

    Parameters
    ----------
    engine : Engine
    now : callable
        Clock; aware UTC.
    """

    def __init__(self, engine: Engine, *, now: Callable[[], datetime] = utc_now) -> None:
        self._engine = engine
        self.now = now

    # -- users ---------------------------------------------------------------------------------

    def list_users(self) -> tuple[User, ...]:
        """Return everybody, by name."""
        with reading(self._engine) as session:
            rows = session.scalars(select(WebUserRow).order_by(WebUserRow.name))
            return tuple(_user(row) for row in rows)

    def has_users(self) -> bool:
        """Tell whether there is anybody."""
        with reading(self._engine) as session:
            return session.scalar(select(WebUserRow.name).limit(1)) is not None

    def find_user(self, name: str) -> User | None:
        """Return a user, None if there is none of that name."""
        with reading(self._engine) as session:
            row = session.get(WebUserRow, _key(name))
            return None if row is None else _user(row)

    def password_hash(self, name: str) -> str:
        """Return the hash of a user's password; empty if there is no such user or password."""
        with reading(self._engine) as session:
            row = session.get(WebUserRow, _key(name))
            return "" if row is None else row.password_hash

    def add_user(
        self, name: str, role: Role, password_hash: str, *, must_change: bool = False
    ) -> User:
        """Add a user.

        Raises
        ------
        ValueError
            There is one of that name, or the name is empty or too long.
        """
        key = _key(name)
        if not key or len(key) > LONGEST_NAME:
            raise ValueError(f"a name has 1 to {LONGEST_NAME} characters")
        with writing(self._engine) as session:
            if session.get(WebUserRow, key) is not None:
                raise ValueError(f"there is a user {key} already")
            now = self.now()
            row = WebUserRow(
                name=key,
                role=role.value,
                password_hash=password_hash,
                must_change=must_change,
                language="",
                created_at=now,
                changed_at=now,
            )
            session.add(row)
            return _user(row)

    def remove_user(self, name: str) -> None:
        """Remove a user with all sessions and tokens; KeyError if there is none."""
        with writing(self._engine) as session:
            self._end(session, _key(name))
            found = session.get(WebUserRow, _key(name))
            if found is None:
                raise KeyError(name)
            session.delete(found)

    def change_password(self, name: str, password_hash: str, *, must_change: bool = False) -> None:
        """Set another password and end every session and token; KeyError if there is no user."""
        self._change(name, password_hash=password_hash, must_change=must_change)

    def change_role(self, name: str, role: Role) -> None:
        """Give a user another role and end every session and token; KeyError if there is none."""
        self._change(name, role=role.value)

    def rehash(self, name: str, password_hash: str) -> None:
        """Keep the same password under newer parameters; nothing else changes."""
        with writing(self._engine) as session:
            session.execute(
                update(WebUserRow)
                .where(WebUserRow.name == _key(name))
                .values(password_hash=password_hash)
            )

    def choose_language(self, name: str, language: str) -> None:
        """Keep the language that a user wants to read."""
        with writing(self._engine) as session:
            session.execute(
                update(WebUserRow).where(WebUserRow.name == _key(name)).values(language=language)
            )

    def _change(self, name: str, **values: object) -> None:
        with writing(self._engine) as session:
            row = session.get(WebUserRow, _key(name), with_for_update=True)
            if row is None:
                raise KeyError(name)
            for key, value in (values | {"changed_at": self.now()}).items():
                setattr(row, key, value)
            self._end(session, row.name)

    # -- sessions ------------------------------------------------------------------------------

    def begin_session(self, name: str, *, address: str) -> tuple[str, Session]:
        """Begin a session; KeyError if there is no such user.

        Returns
        -------
        str
            The token, which only the browser keeps.
        Session
        """
        token = secrets.token_urlsafe(TOKEN_BYTES)
        with writing(self._engine) as session:
            user = session.get(WebUserRow, _key(name))
            if user is None:
                raise KeyError(name)
            now = self.now()
            row = WebSessionRow(
                token_sha256=_digest(token),
                user=user.name,
                csrf_token=secrets.token_urlsafe(TOKEN_BYTES),
                address=address,
                began_at=now,
                seen_at=now,
            )
            session.add(row)
            return token, _session(row, user)

    def find_session(
        self, token: str, *, idle: timedelta, longest: timedelta, is_use: bool = True
    ) -> Session | None:
        """Return the session of a token and note that it is used; None if it has ended.

        Parameters
        ----------
        token : str
        idle, longest : timedelta
            It ends so long after its last use, and so long after its beginning.
        is_use : bool
            False only looks: a page that is open and watched by nobody keeps no session alive.
        """
        found = self._open_session(_digest(token), idle=idle, longest=longest)
        if found is not None and is_use and found.seen_at + SEEN_EVERY <= self.now():
            with writing(self._engine) as session:
                session.execute(
                    update(WebSessionRow)
                    .where(WebSessionRow.token_sha256 == found.token_sha256)
                    .values(seen_at=self.now())
                )
        return found

    def is_open(self, token_sha256: str, *, idle: timedelta, longest: timedelta) -> bool:
        """Tell whether a session has not ended, which is no use of it."""
        return self._open_session(token_sha256, idle=idle, longest=longest) is not None

    def _open_session(
        self, token_sha256: str, *, idle: timedelta, longest: timedelta
    ) -> Session | None:
        now = self.now()
        with reading(self._engine) as session:
            row = session.get(WebSessionRow, token_sha256)
            if row is None or row.seen_at + idle <= now or row.began_at + longest <= now:
                return None
            user = session.get(WebUserRow, row.user)
            return None if user is None else _session(row, user)

    def end_session(self, token_sha256: str) -> None:
        """End one session."""
        with writing(self._engine) as session:
            session.execute(delete(WebSessionRow).where(WebSessionRow.token_sha256 == token_sha256))

    def end_all(self, name: str) -> None:
        """End every session of a user, and every token."""
        with writing(self._engine) as session:
            self._end(session, _key(name))

    def forget_ended(self, *, idle: timedelta, longest: timedelta, failures: timedelta) -> None:
        """Remove sessions and tokens that have ended, and failures that count no more."""
        now = self.now()
        with writing(self._engine) as session:
            session.execute(
                delete(WebSessionRow).where(
                    or_(
                        WebSessionRow.seen_at <= now - idle, WebSessionRow.began_at <= now - longest
                    )
                )
            )
            session.execute(delete(WebTokenRow).where(WebTokenRow.expires_at <= now))
            session.execute(delete(WebFailureRow).where(WebFailureRow.at <= now - failures))

    @staticmethod
    def _end(session: DatabaseSession, name: str) -> None:
        for table in (WebSessionRow, WebTokenRow):
            session.execute(delete(table).where(table.user == name))

    # -- tokens of programs --------------------------------------------------------------------

    def add_token(self, name: str, *, label: str, lasts: timedelta) -> str:
        """Return a new token of a user, which is told this once; KeyError without such a user."""
        token = secrets.token_urlsafe(TOKEN_BYTES)
        with writing(self._engine) as session:
            user = session.get(WebUserRow, _key(name))
            if user is None:
                raise KeyError(name)
            now = self.now()
            session.add(
                WebTokenRow(
                    token_sha256=_digest(token),
                    user=user.name,
                    label=label,
                    created_at=now,
                    expires_at=now + lasts,
                )
            )
        return token

    def user_of_token(self, token: str) -> User | None:
        """Return in whose name a token asks, None if it is not valid."""
        with reading(self._engine) as session:
            row = session.get(WebTokenRow, _digest(token))
            if row is None or row.expires_at <= self.now():
                return None
            user = session.get(WebUserRow, row.user)
            return None if user is None else _user(user)

    # -- failed logins -------------------------------------------------------------------------

    def note_failure(self, name: str, address: str) -> None:
        """Note that a login failed."""
        with writing(self._engine) as session:
            session.add(
                WebFailureRow(
                    user=_key(name)[:LONGEST_NAME], address=address[:LONGEST_NAME], at=self.now()
                )
            )

    def forget_failures(self, name: str) -> None:
        """Forget the failures of a user who has logged in."""
        with writing(self._engine) as session:
            session.execute(
                delete(WebFailureRow).where(WebFailureRow.user == _key(name)[:LONGEST_NAME])
            )

    def failures(
        self, name: str, address: str, *, within: timedelta
    ) -> tuple["Failures", "Failures"]:
        """Count failed logins of late, of a user and of an address."""
        since = self.now() - within
        both = []
        with reading(self._engine) as session:
            for column, value in (
                (WebFailureRow.user, _key(name)[:LONGEST_NAME]),
                (WebFailureRow.address, address[:LONGEST_NAME]),
            ):
                count, last = session.execute(
                    select(func.count(), func.max(WebFailureRow.at)).where(
                        column == value, WebFailureRow.at > since
                    )
                ).one()
                both.append(Failures(count=count, last_at=last))
        return both[0], both[1]


@dataclass(frozen=True, kw_only=True)
class Failures:
    """How many failures there were, and when the last one."""

    count: int
    last_at: datetime | None


def _key(name: str) -> str:
    return name.strip().casefold()


def _digest(token: str) -> str:
    return sha256(token.encode()).hexdigest()


def _user(row: WebUserRow) -> User:
    return User(
        name=row.name,
        role=Role(row.role),
        must_change=row.must_change,
        language=row.language,
        created_at=row.created_at,
        has_password=bool(row.password_hash),
    )


def _session(row: WebSessionRow, user: WebUserRow) -> Session:
    return Session(
        token_sha256=row.token_sha256,
        user=_user(user),
        csrf_token=row.csrf_token,
        address=row.address,
        began_at=row.began_at,
        seen_at=row.seen_at,
    )
