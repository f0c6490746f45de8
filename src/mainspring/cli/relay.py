"""`mainspring relay`: makes the journal's effects happen, without serving."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from mainspring.cli._command import OK, takes_application
from mainspring.cli._errors import NoJournal
from mainspring.cli._project import find_project, load

if TYPE_CHECKING:
    import argparse

    from mainspring.app import App
    from mainspring.cli._command import Parser
    from mainspring.cli._terminal import Terminal


def arguments(parser: Parser) -> None:
    """Take the application."""
    takes_application(parser)


def run(options: argparse.Namespace, _terminal: Terminal) -> int:
    """Run until a signal; what has begun by then is finished."""
    from mainspring.serve._process import run_loop  # noqa: PLC0415  # httptools, for this only

    # It says so itself whether this process is a relay: it is one.
    os.environ["MAINSPRING_RELAY"] = "1"
    project = find_project(options.app)
    project.enter()
    run_loop(_relay(load(project)))
    return OK


async def _relay(app: App) -> None:
    from mainspring.serve._process import Stop, say  # noqa: PLC0415  # as above

    await asyncio.to_thread(app.compile)
    if not app.journal.kinds:
        raise NoJournal(
            f"{app.name} has no effects to make happen",
            fix="ask for `mail: Mailer` in a handler, or use app.mail before the start",
        )
    stop = Stop()
    stop.listen()
    async with app.running():
        say("relaying")
        await stop.wait()
