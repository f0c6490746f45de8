"""`mainspring seed`: the application's seed data, with a progress bar."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any, get_origin, get_type_hints

from mainspring.app import Progress
from mainspring.cli._command import OK, takes_application
from mainspring.cli._database import require_migrated
from mainspring.cli._errors import NothingToSeed
from mainspring.cli._progress import Bars
from mainspring.cli._project import open_application

if TYPE_CHECKING:
    import argparse
    from collections.abc import Awaitable, Callable, Mapping

    from mainspring.app import App
    from mainspring.cli._command import Parser
    from mainspring.cli._terminal import Terminal
    from mainspring.data import Session


def arguments(parser: Parser) -> None:
    """Take the application."""
    takes_application(parser)


def run(options: argparse.Namespace, terminal: Terminal) -> int:
    """Run the function that the application declared, in one unit of work."""
    # Nobody else waits for this loop, so a seed may keep it busy without being reported.
    os.environ.setdefault("MAINSPRING_BLOCKED_LOOP_AFTER", "1d")
    app = open_application(options.app)
    if app.seeder is None:
        raise NothingToSeed(
            f"{app.name} declares no seed data",
            fix="decorate a function with @app.seed: async def fill(db: Session) -> None",
        )
    asyncio.run(_seed(app, app.seeder, Bars(terminal)))
    terminal.say(f"{terminal.paint('✓', 'green')} seeded")
    return OK


async def _seed(app: App, seeder: Callable[..., Awaitable[None]], bars: Bars) -> None:
    await require_migrated(app.settings)
    async with app.running(), app.database.unit() as session:
        await seeder(**_given(app, seeder, _by_type(app, session, bars)))


def _by_type(app: App, session: Session, bars: Bars) -> dict[Any, Any]:
    known: dict[Any, Any] = {type(session): session, Progress: bars}
    if app.identity is not None:
        accounts = app.identity.accounts(session)
        known[type(accounts)] = accounts
    return known


def _given(app: App, seeder: Callable[..., Any], known: Mapping[Any, Any]) -> dict[str, Any]:
    """The function's arguments, each by its type; services are what is left."""
    hints = get_type_hints(seeder)
    hints.pop("return", None)
    kinds = {name: get_origin(hint) or hint for name, hint in hints.items()}
    return {
        n: known[kind] if kind in known else app.services.get(kind) for n, kind in kinds.items()
    }
