"""`mainspring makemigrations`: a migration from what changed in the models."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mainspring.cli._command import OK, takes_application
from mainspring.cli._database import opened
from mainspring.cli._project import MIGRATIONS, has_migrations, open_application
from mainspring.data import Model
from mainspring.migrations import NoChanges, makemigrations

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from mainspring.app import App
    from mainspring.cli._command import Parser
    from mainspring.cli._terminal import Terminal


def arguments(parser: Parser) -> None:
    """Take the application, what changes, and whether the difference is to be looked for."""
    takes_application(parser)
    parser.add_argument("-m", "--message", help="what changes, in a few words")
    parser.add_argument(
        "--empty", action="store_true", help="write a migration to be filled in by hand"
    )


def run(options: argparse.Namespace, terminal: Terminal) -> int:
    """Write the file and name it; that there is nothing to write is fine too."""
    app = open_application(options.app)
    # Accounts bring a table of their own, and whether there are any shows only now.
    app.compile()
    first = not has_migrations()
    message = options.message or ("create the tables" if first else "change the tables")
    try:
        path = asyncio.run(_write(app, message, empty=options.empty))
    except NoChanges as exc:
        terminal.say(exc.what)
        return OK
    terminal.say(f"{terminal.paint('✓', 'green')} {path}")
    terminal.say("read it, then run: mainspring migrate")
    return OK


async def _write(app: App, message: str, *, empty: bool) -> Path:
    async with opened(app.settings) as database:
        return await makemigrations(database, Model.metadata, MIGRATIONS, message, empty=empty)
