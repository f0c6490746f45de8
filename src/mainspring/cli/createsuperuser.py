"""`mainspring createsuperuser`: an account that may do everything."""

from __future__ import annotations

import asyncio
import sys
from getpass import getpass
from typing import TYPE_CHECKING

from mainspring.cli._command import OK, takes_application
from mainspring.cli._database import require_migrated
from mainspring.cli._errors import NoAccounts, UsageError
from mainspring.cli._project import open_application

if TYPE_CHECKING:
    import argparse

    from mainspring.app import App
    from mainspring.auth import User
    from mainspring.cli._command import Parser
    from mainspring.cli._terminal import Terminal


def arguments(parser: Parser) -> None:
    """Take the application and what a prompt would ask for."""
    takes_application(parser)
    parser.add_argument("--email", help="instead of asking for it")
    parser.add_argument("--username", help="a public name, where the application has such")
    parser.add_argument(
        "--password-stdin", action="store_true", help="read the password from standard input"
    )


def run(options: argparse.Namespace, terminal: Terminal) -> int:
    """Ask for what is not given, and make the account."""
    app = open_application(options.app)
    app.compile()
    if app.identity is None:
        raise NoAccounts(
            f"{app.name} has no accounts",
            fix="use signed_in, or a User, in one of its routes, and migrate",
        )
    email = options.email or _asked("E-mail: ", "--email")
    password = _password(from_stdin=options.password_stdin)
    user = asyncio.run(_create(app, email=email, password=password, username=options.username))
    terminal.say(f"{terminal.paint('✓', 'green')} {user.email} may do everything")
    return OK


async def _create(app: App, *, email: str, password: str, username: str | None) -> User:
    await require_migrated(app.settings)
    async with app.running(), app.database.unit() as session:
        assert app.identity is not None
        accounts = app.identity.accounts(session)
        user: User = await accounts.create_superuser(
            email=email, password=password, username=username
        )
        return user


def _asked(prompt: str, option: str) -> str:
    if not sys.stdin.isatty():
        raise UsageError(f"nobody is there to answer {prompt!r}", fix=f"say {option}")
    return input(prompt).strip()


def _password(*, from_stdin: bool) -> str:
    """The password; never an argument, which every user of the machine could read."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise UsageError("nobody is there to type a password", fix="say --password-stdin")
    password = getpass("Password: ")
    if getpass("Once more: ") != password:
        raise UsageError("the two passwords differ", fix="try again")
    return password
