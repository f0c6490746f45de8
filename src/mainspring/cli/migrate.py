"""`mainspring migrate`: the database follows the migrations."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mainspring.cli._command import OK, takes_application
from mainspring.cli._database import bring_up
from mainspring.cli._project import has_migrations, open_application

if TYPE_CHECKING:
    import argparse

    from mainspring.cli._command import Parser
    from mainspring.cli._terminal import Terminal


def arguments(parser: Parser) -> None:
    """Take the application and the last migration to run."""
    takes_application(parser)
    parser.add_argument(
        "target",
        nargs="?",
        default="head",
        help="the last one to run, by its number or the start of its name; by default the newest",
    )


def run(options: argparse.Namespace, terminal: Terminal) -> int:
    """Run what is pending and name it."""
    app = open_application(options.app)
    if not has_migrations():
        terminal.say("there are no migrations yet: mainspring makemigrations writes the first")
        return OK
    done = asyncio.run(bring_up(app.settings, target=options.target))
    for migration in done:
        terminal.say(f"{terminal.paint('✓', 'green')} {migration}")
    if not done:
        back = "" if options.target == "head" else "; `mainspring rollback` goes back"
        terminal.say(f"nothing to do: the database has it already{back}")
    return OK
