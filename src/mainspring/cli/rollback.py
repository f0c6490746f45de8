"""`mainspring rollback`: the last migrations undone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.cli._command import OK, at_least_one, takes_application
from mainspring.cli._database import MIGRATIONS, complete, opened
from mainspring.cli._project import open_application

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
    for migration in complete(_undo(open_application(options.app), options.steps)):
        terminal.say(f"{terminal.paint('↶', 'yellow')} {migration}")
    return OK


async def _undo(app: App, steps: int) -> list[Migration]:
    from mainspring.migrations import rollback  # noqa: PLC0415  # Alembic is heavy

    async with opened(app.settings) as database:
        return await rollback(database, MIGRATIONS, steps=steps)
