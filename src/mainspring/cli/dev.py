"""`mainspring dev`: the application for whoever works on it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mainspring.cli._command import OK, takes_application
from mainspring.cli._database import MIGRATIONS, complete
from mainspring.cli._project import find_project, load
from mainspring.cli._serving import takes_server
from mainspring.cli.migrate import bring_up
from mainspring.cli.serve import prepared
from mainspring.serve import run as serve_until_stopped

if TYPE_CHECKING:
    import argparse

    from mainspring.cli._command import Parser
    from mainspring.cli._terminal import Terminal
    from mainspring.serve import Config


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
    if any(MIGRATIONS.glob("*.py")):
        for migration in complete(bring_up(load(project))):
            terminal.say(f"{terminal.paint('✓', 'green')} migrated {migration}")
    _banner(project.target, config, terminal)
    serve_until_stopped(project.target, config=config)
    return OK


def _banner(target: str, config: Config, terminal: Terminal) -> None: ...
