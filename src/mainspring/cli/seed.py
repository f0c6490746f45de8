"""`mainspring seed`: the application's seed data, with a progress bar."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_type_hints

from mainspring.cli._command import OK, takes_application
from mainspring.cli._database import complete
from mainspring.cli._errors import NothingToSeed
from mainspring.cli._progress import Bars
from mainspring.cli._project import open_application

if TYPE_CHECKING:
    import argparse
    from collections.abc import Awaitable, Callable

    from mainspring.app import App
    from mainspring.cli._command import Parser
    from mainspring.cli._terminal import Terminal
    from mainspring.data import Session


def arguments(parser: Parser) -> None:
    """Take the application."""
    takes_application(parser)


def run(options: argparse.Namespace, terminal: Terminal) -> int:
    """Run the function that the application declared, in one unit of work."""
    app = open_application(options.app)
    if app.seeder is None:
        raise NothingToSeed(
            f"{app.name} declares no seed data",
            fix="decorate a function with @app.seed: async def fill(db: Session) -> None",
        )
    complete(_seed(app, app.seeder, Bars(terminal)))
    terminal.say(f"{terminal.paint('✓', 'green')} seeded")
    return OK


async def _seed(app: App, seeder: Callable[..., Awaitable[None]], bars: Bars) -> None:
    async with app.running(), app.database.unit() as session:
        await seeder(**_given(app, seeder, session, bars))


def _given(app: App, seeder: Callable[..., Any], session: Session, bars: Bars) -> dict[str, Any]:
    """The function's arguments, each by its type; services are what is left."""
    from mainspring.app import Progress  # noqa: PLC0415  # as above

    hints = {name: kind for name, kind in get_type_hints(seeder).items() if name != "return"}
    known: dict[Any, Any] = {type(session): session, Progress: bars}
    return {
        n: known[kind] if kind in known else app.services.get(kind) for n, kind in hints.items()
    }
