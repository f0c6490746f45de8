"""`mainspring check`: what would stop the start, and what is unfit for production."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from mainspring.cli._command import FAILED, OK, takes_application, takes_json
from mainspring.cli._deployment import Row, deployment
from mainspring.cli._errors import BrokenApplication, UsageError
from mainspring.cli._project import find_project, load
from mainspring.errors import MainspringError
from mainspring.settings import read_env_file

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from mainspring.app import App
    from mainspring.cli._command import Parser
    from mainspring.cli._terminal import Terminal
    from mainspring.errors import Finding


def arguments(parser: Parser) -> None:
    """Take the application, a form of output, and whether it is for production."""
    takes_application(parser)
    takes_json(parser)
    parser.add_argument(
        "--deploy", action="store_true", help="look also for what is unfit for production"
    )


def run(options: argparse.Namespace, terminal: Terminal) -> int:
    """Report each row; 1 if any is a finding."""
    rows: list[Row] = []
    try:
        rows.extend(_rows(options))
    except UsageError:
        raise
    except MainspringError as exc:
        if isinstance(exc, BrokenApplication) and not options.json:
            raise  # with the traceback, which is what helps
        rows.append(Row("", exc.finding))
    findings = [row.finding for row in rows if row.finding is not None]
    if options.json:
        terminal.json(_facts(rows))
    else:
        _report(rows, terminal)
    return FAILED if findings else OK


def _rows(options: argparse.Namespace) -> Iterator[Row]:
    project = find_project(options.app)
    project.enter(development=not options.deploy)
    app = load(project)
    yield Row(f"{project.target} can be imported")
    settings = app.settings
    yield Row("the settings can be read")
    yield _compiled(app)
    if options.deploy:
        yield _migrated(app)
        yield from deployment(settings, development=read_env_file(Path(".env")))


def _compiled(app: App) -> Row:
    try:
        app.compile()
    except MainspringError as exc:
        return Row("", exc.finding)
    count = len(app.routes)
    return Row(f"{count} route{'' if count == 1 else 's'} can be served, each with a policy")


def _migrated(app: App) -> Row:
    # As in `dev`: what has no data should not wait for SQLAlchemy.
    from mainspring.cli._database import require_migrated  # noqa: PLC0415

    try:
        asyncio.run(require_migrated(app.settings))
    except MainspringError as exc:
        return Row("", exc.finding)
    return Row("the database answers and has every migration")


def _facts(rows: list[Row]) -> dict[str, list[object]]:
    findings = [row.finding for row in rows if row.finding is not None]
    return {
        "findings": [{"code": f.code, "what": f.what, "fix": f.fix} for f in findings],
        "passed": [row.passed for row in rows if row.finding is None],
    }


def _report(rows: list[Row], terminal: Terminal) -> None:
    for row in rows:
        if row.finding is None:
            terminal.say(f"{terminal.paint('✓', 'green')} {row.passed}")
        else:
            _finding(row.finding, terminal)
    count = sum(row.finding is not None for row in rows)
    if count:
        terminal.say(f"\n{count} finding{'s' if count > 1 else ''}")


def _finding(finding: Finding, terminal: Terminal) -> None:
    terminal.say(f"{terminal.paint('✗', 'red', 'bold')} {finding.what}")
    if finding.fix:
        terminal.say(f"    {terminal.paint('fix: ', 'dim')} {finding.fix}")
    terminal.say(f"    {terminal.paint('more:', 'dim')} mainspring explain {finding.code}")
