"""`mainspring rollback`: the last migrations undone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mainspring.cli._command import OK, at_least_one, takes_application
from mainspring.cli._database import opened
from mainspring.cli._project import MIGRATIONS, open_application
from mainspring.migrations import rollback

if TYPE_CHECKING:
    import argparse

    from mainspring.app import App
    from mainspring.cli._command import Parser
    from mainspring.cli._terminal import Terminal
    from mainspring.migrations import Migration


def arguments(parser: Parser) -> None:
    """Take the application and how many."""
    takes_application(parser)
    parser.add_argument(
        "steps", nargs="?", type=at_least_one, default=1, help="how many; 1 by default"
    )


def run(options: argparse.Namespace, terminal: Terminal) -> int:
    """Undo them and name each."""
    for migration in asyncio.run(_undo(open_application(options.app), options.steps)):
        terminal.say(f"{terminal.paint('↶', 'yellow')} {migration}")
    return OK


async def _undo(app: App, steps: int) -> list[Migration]:
    async with opened(app.settings) as database:
        return await rollback(database, MIGRATIONS, steps=steps)
