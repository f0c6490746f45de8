"""`mainspring dev`: the application for whoever works on it."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Final

from mainspring import settings as settings_module
from mainspring.cli._command import OK, takes_application
from mainspring.cli._project import find_project, has_migrations
from mainspring.cli._serving import takes_server
from mainspring.cli.serve import prepared
from mainspring.serve import run as serve_until_stopped

if TYPE_CHECKING:
    import argparse

    from mainspring.cli._command import Parser
    from mainspring.cli._terminal import Terminal
    from mainspring.serve import Config
    from mainspring.settings import Settings


def arguments(parser: Parser) -> None:
    """Take what `serve` takes; it reloads unless told not to."""
    takes_application(parser)
    takes_server(parser)
    parser.set_defaults(reload=True)
    parser.add_argument(
        "--no-reload", action="store_false", dest="reload", help="go on when a file changes"
    )


def run(options: argparse.Namespace, terminal: Terminal) -> int:
    """Migrate, say where everything is, and serve until a signal ends it."""
    os.environ.setdefault("DEBUG", "1")
    project = find_project(options.app)
    project.enter()
    config = prepared(project, options)
    settings = settings_module.load()
    if has_migrations():
        _migrate(settings, terminal)
    docs = settings.docs != "off" and bool(settings.docs or settings.debug)
    for name, place in places(config, docs=docs).items():
        terminal.say(f"{terminal.paint(name, 'bold')}  {terminal.paint(place, 'cyan')}")
    terminal.say(terminal.paint("Ctrl-C stops it", "dim"))
    terminal.out.flush()
    serve_until_stopped(project.target, config=config)
    return OK


def _migrate(settings: Settings, terminal: Terminal) -> None:
    # SQLAlchemy and Alembic are half of a start, which an application without data is spared.
    from mainspring.cli._database import bring_up  # noqa: PLC0415

    # Without the application: it is the server's to import, each time that it changed.
    for migration in asyncio.run(bring_up(settings)):
        terminal.say(f"{terminal.paint('✓', 'green')} migrated {migration}")


def places(config: Config, *, docs: bool) -> dict[str, str]:
    """Where a browser finds what; empty if only the server will know."""
    if config.uds is not None or config.fd is not None or config.port == 0:
        return {}
    host = "127.0.0.1" if config.host in _EVERYWHERE else config.host
    host = f"[{host}]" if ":" in host else host
    start = f"{'https' if config.ssl_certfile else 'http'}://{host}:{config.port}"
    return {"app ": start} | ({"docs": f"{start}/docs"} if docs else {})


_EVERYWHERE: Final = {"", "0.0.0.0", "::"}  # noqa: S104  # compared with, not listened on
