"""``onconode users``: who may use the web page."""

import getpass
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from node.cli.invocation import invocation_of
from node.cli.screen import out, table
from node.domain.code import Code
from node.domain.role import Role
from node.telemetry.audit import codes, people

if TYPE_CHECKING:
    from node.bootstrap.parts import Parts
    from node.storage.accounts import AccountStore

app = typer.Typer(
    help="Who may use the web page: add, list, remove users, set passwords, make tokens.",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(help="Name to log in with; capitals make no difference.")]
Generate = Annotated[
    bool,
    typer.Option(
        "--generate", help="Make a password, print it once, and ask for another at login."
    ),
]


@app.command("add")
def add_user(
    ctx: typer.Context,
    name: Name,
    role: Annotated[Role, typer.Option(help="viewer, operator or admin.")] = Role.VIEWER,
    generate: Generate = False,
) -> None:
    """Add a user; the password is asked for, or read from standard input without a terminal."""
    parts = _parts(ctx)
    password, kept = _choose(name, generate=generate)
    try:
        user = _accounts(parts).add_user(name, role, kept, must_change=generate)
    except ValueError as fault:
        raise typer.BadParameter(str(fault)) from None
    _tell(parts, codes.ROLES_CHANGED, user.name, f"user added as {role.value}")
    out.print(f"user {user.name} added as {role.value}")
    _show(password, generate=generate)


@app.command("list")
def list_users(ctx: typer.Context) -> None:
    """List the users with their roles."""
    users = _accounts(_parts(ctx)).list_users()
    if not users:
        out.print("no users")
        return
    rows = table("name", "role", "since", "password")
    for user in users:
        how = (
            "to be changed at login" if user.must_change else "set" if user.has_password else "none"
        )
        since = user.created_at.astimezone().strftime("%Y-%m-%d")
        rows.add_row(user.name, user.role.value, since, how)
    out.print(rows)


@app.command("remove")
def remove_user(ctx: typer.Context, name: Name) -> None:
    """Remove a user; every login and token of the user ends."""
    parts = _parts(ctx)
    try:
        _accounts(parts).remove_user(name)
    except KeyError:
        raise _nobody(name) from None
    _tell(parts, codes.USER_CHANGED, name, "user removed")
    out.print(f"user {name} removed")


@app.command("password")
def set_password(ctx: typer.Context, name: Name, generate: Generate = False) -> None:
    """Set a user's password; every login and token of the user ends."""
    parts = _parts(ctx)
    password, kept = _choose(name, generate=generate)
    try:
        _accounts(parts).change_password(name, kept, must_change=generate)
    except KeyError:
        raise _nobody(name) from None
    _tell(parts, codes.USER_CHANGED, name, "password set at the command line")
    out.print(f"password of {name} set")
    _show(password, generate=generate)


@app.command("role")
def set_role(
    ctx: typer.Context,
    name: Name,
    role: Annotated[Role, typer.Argument(help="viewer, operator or admin.")],
) -> None:
    """Give a user another role; every login and token of the user ends."""
    parts = _parts(ctx)
    try:
        _accounts(parts).change_role(name, role)
    except KeyError:
        raise _nobody(name) from None
    _tell(parts, codes.ROLES_CHANGED, name, f"role {role.value}")
    out.print(f"{name} is {role.value} now")


@app.command("token")
def make_token(
    ctx: typer.Context,
    name: Name,
    label: Annotated[str, typer.Option(help="What it is for.")] = "",
    days: Annotated[int, typer.Option(min=1, max=3660, help="How long it is good for.")] = 365,
) -> None:
    """Print a token with which a program asks the JSON API in the name of a user."""
    parts = _parts(ctx)
    try:
        token = _accounts(parts).add_token(name, label=label[:64], lasts=timedelta(days=days))
    except KeyError:
        raise _nobody(name) from None
    _tell(parts, codes.USER_CHANGED, name, f"token made for {days} days")
    typer.echo(token)


@app.command("logout")
def log_out(ctx: typer.Context, name: Name) -> None:
    """End every login of a user, and every token."""
    parts = _parts(ctx)
    accounts = _accounts(parts)
    if accounts.find_user(name) is None:
        raise _nobody(name)
    accounts.end_all(name)
    _tell(parts, codes.USER_CHANGED, name, "every login ended")
    out.print(f"{name} is logged out everywhere")


def _parts(ctx: typer.Context) -> "Parts":
    from node.bootstrap.parts import Parts

    return Parts(settings=invocation_of(ctx).settings)


def _accounts(parts: "Parts") -> "AccountStore":
    from node.storage.accounts import AccountStore

    return AccountStore(parts.engine)


def _choose(name: str, *, generate: bool) -> tuple[str, str]:
    """Return a password and what is kept of it."""
    from node.web.passwords import WeakPassword, hash_password, make_password

    password = make_password() if generate else _ask()
    try:
        return password, hash_password(password, user=name)
    except WeakPassword as weak:
        raise typer.BadParameter(str(weak)) from None


def _ask() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    password = getpass.getpass("Password: ")
    if getpass.getpass("The same again: ") != password:
        raise typer.BadParameter("the two are not alike")
    return password


def _show(password: str, *, generate: bool) -> None:
    if generate:
        typer.echo(password)


def _nobody(name: str) -> typer.BadParameter:
    return typer.BadParameter(f"no user {name!r}")


def _tell(parts: "Parts", kind: Code, name: str, what: str) -> None:
    """Tell the audit trail."""
    from node.bootstrap.auditing import name_of_user, open_trail

    trail = open_trail(parts, "cli")
    user = people.person(name_of_user(), address="")
    trail.record(
        people.security_changed(
            trail.node, user=user, kind=kind, subject=name.casefold(), what=what
        )
    )
