"""Statements that may find SQLite's file locked, and what that means."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import apsw
from sqlalchemy.util import await_only

from mainspring.data._errors import SnapshotOutdated, writer_busy
from mainspring.data._sqlite_errors import snapshot_is_history
from mainspring.data._sqlite_lane import pause

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mainspring.data._sqlite_lane import WriterLane


class Attempt:
    """A statement that may find the file locked; called again until it does not."""

    __slots__ = ("_connection", "_parameters", "_sql", "result")

    result: apsw.Cursor

    def __init__(self, connection: Any, sql: str, parameters: Sequence[Any]) -> None:
        self._connection = connection
        self._sql = sql
        self._parameters = parameters

    def __call__(self) -> bool:
        try:
            self.result = self._connection.execute(self._sql, self._parameters)
        except apsw.BusyError as exc:
            if snapshot_is_history(exc):
                raise outdated() from exc
            return False
        return True


def insist(attempt: Attempt, *, until: float, limit: float) -> apsw.Cursor:
    """The statement's result, asked for again and again inside SQLAlchemy's greenlet.

    A coroutine would do the same, but a statement that takes long could not be suspended there.

    Raises:
        WriterBusy: the file was locked until `until`, on the monotonic clock.
    """
    while not attempt():
        if time.monotonic() >= until:
            raise writer_busy(limit)
        await_only(pause())
    return attempt.result


def granted(ask: Callable[[], bool], lane: WriterLane) -> bool:
    """Ask once with the lane taken, and leave the lane if the answer is no."""
    granted = False
    try:
        granted = ask()
    finally:
        if not granted:
            lane.give()
    return granted


def outdated() -> SnapshotOutdated:
    """What to raise when a reading unit can no longer write."""
    return SnapshotOutdated(
        "this unit read the database, somebody else wrote to it, and now this unit writes",
        fix="open units that write with write=True, or write before the first read",
    )
