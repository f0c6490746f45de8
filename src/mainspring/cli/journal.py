"""`mainspring journal`: what waits in the journal, what is dead, and what becomes of that."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from mainspring.cli._command import FAILED, OK, at_least_one, takes_application, takes_json
from mainspring.cli._project import find_project

if TYPE_CHECKING:
    import argparse

    from mainspring.cli._command import Parser
    from mainspring.cli._terminal import Terminal
    from mainspring.data import Session

_ACTIONS = ("counts", "list", "retry", "discard")


def arguments(parser: Parser) -> None:
    """Take what to do, with which rows."""
    takes_application(parser)
    takes_json(parser)
    parser.add_argument(
        "action", nargs="?", choices=_ACTIONS, default="counts",
        help="counts; list rows; retry dead ones; discard dead ones",
    )  # fmt: skip
    parser.add_argument("id", nargs="*", type=at_least_one, help="only these rows")
    parser.add_argument("--kind", help="only rows of this kind of effect")
    parser.add_argument("--state", choices=("waiting", "claimed", "dead"), help="only such rows")
    parser.add_argument("--all", action="store_true", help="retry or discard every dead row")
    parser.add_argument("--limit", type=at_least_one, default=100, help="list so many, 100")


def run(options: argparse.Namespace, terminal: Terminal) -> int:
    """Look into the journal of the project's database, or change it."""
    project = find_project(options.app)
    project.enter(development=True)
    if options.action in {"retry", "discard"} and not (options.id or options.kind or options.all):
        terminal.note(f"say which: mainspring journal {options.action} ID …, --kind KIND or --all")
        return FAILED
    found = asyncio.run(_done(options))
    if options.json:
        terminal.json(found)
    elif isinstance(found, int):
        done = "will be tried again" if options.action == "retry" else "discarded"
        terminal.say(f"{terminal.paint('✓', 'green')} {found} {done}")
    elif not found:
        terminal.say("nothing is in the journal")
    elif options.action == "counts":
        _counts(found, terminal)
    else:
        _list(found, terminal)
    return OK


async def _done(options: argparse.Namespace) -> Any:
    from mainspring import settings  # noqa: PLC0415  # with SQLAlchemy, half of a start
    from mainspring.cli._database import opened  # noqa: PLC0415  # as above

    write = options.action in {"retry", "discard"}
    async with opened(settings.load()) as database, database.unit(write=write) as session:
        return await _work(options, session)


async def _work(options: argparse.Namespace, session: Session) -> Any:
    from mainspring.data import _journal_table as table  # noqa: PLC0415  # as above

    match options.action:
        case "retry":
            return await table.revive(session, options.id, options.kind)
        case "discard":
            return await table.discard(session, options.id, options.kind)
        case "list":
            state = next((s for s, name in table.STATES.items() if name == options.state), None)
            rows = await table.listed(session, state=state, kind=options.kind, limit=options.limit)
            return [
                {
                    "id": row.id, "uid": row.uid, "kind": row.kind, "key": row.order_key,
                    "state": table.STATES[row.state], "attempts": row.attempts,
                    "age_seconds": row.age_ms / 1000, "due_in_seconds": row.due_in_ms / 1000,
                    "error": row.error,
                }
                for row in rows
            ]  # fmt: skip
        case _:
            return [
                {
                    "kind": row.kind, "state": table.STATES[row.state], "rows": row.rows,
                    "oldest_seconds": row.oldest_ms / 1000,
                }
                for row in await table.counts(session)
            ]  # fmt: skip


def _counts(found: list[dict[str, Any]], terminal: Terminal) -> None:
    rows = [(r["kind"], r["state"], str(r["rows"]), _span(r["oldest_seconds"])) for r in found]
    terminal.table(("KIND", "STATE", "ROWS", "OLDEST"), rows, colours={1: "cyan"})


def _list(found: list[dict[str, Any]], terminal: Terminal) -> None:
    rows = [
        (
            str(r["id"]), r["kind"], r["key"] or "", r["state"], str(r["attempts"]),
            _span(r["age_seconds"]), (r["error"] or "").partition("\n")[0][:80],
        )
        for r in found
    ]  # fmt: skip
    header = ("ID", "KIND", "KEY", "STATE", "ATTEMPTS", "AGE", "LAST ERROR")
    terminal.table(header, rows, colours={3: "cyan", 6: "red"})


def _span(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
