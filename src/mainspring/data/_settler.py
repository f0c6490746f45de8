"""The settler: notes what became of effects, as many as there are with one commit."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from mainspring import telemetry
from mainspring.data import _journal_table as table
from mainspring.data._errors import GiveUp
from mainspring.data._server_clock import milliseconds

if TYPE_CHECKING:
    from datetime import timedelta

    from mainspring.data._database import Database
    from mainspring.data._journal import RetryPolicy
    from mainspring.data._journal_table import Entry

_RETRY_SECONDS: Final = 0.2
_GRACE: Final = 5.0


@dataclass(frozen=True, slots=True)
class _Failed:
    entry: Entry
    error: str
    wait: timedelta | None


class _Settled(Protocol):
    def __call__(self, entries: list[Entry], *, again_in: float | None) -> None: ...


class Settler:
    """Collects outcomes while it writes others.

    Args:
        database: where the journal is.
        settled: told after each commit which entries were noted, and in how many seconds the
            first of those that failed is due.
    """

    def __init__(self, database: Database, settled: _Settled) -> None:
        self._database = database
        self._settled = settled
        self._done: list[Entry] = []
        self._failed: list[_Failed] = []
        self._work = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._task: asyncio.Task[None] | None = None

    def done(self, entry: Entry) -> None:
        """The effect has happened."""
        self._done.append(entry)
        self._idle.clear()
        self._work.set()

    def failed(self, entry: Entry, error: Exception, retry: RetryPolicy) -> None:
        """The attempt failed."""
        final = isinstance(error, GiveUp)
        chance = random.random()  # noqa: S311  # no secret
        wait = None if final else retry.wait(entry.attempt, chance=chance)
        telemetry.failed(
            "journal.failed" if wait is not None else "journal.dead",
            error,
            kind=entry.kind,
            id=entry.id,
            attempt=entry.attempt,
        )
        self._failed.append(_Failed(entry, f"{type(error).__name__}: {error}", wait))
        self._idle.clear()
        self._work.set()

    def start(self) -> None:
        """Begin to write."""
        self._task = asyncio.create_task(self._run(), name="mainspring-journal-settler")

    async def stop(self) -> None:
        """Write what there is, for a few seconds at most; what is not written is repeated."""
        task, self._task = self._task, None
        if task is None:
            return
        try:
            async with asyncio.timeout(_GRACE):
                await self._idle.wait()
        except TimeoutError:
            telemetry.emit("journal.unsettled", rows=len(self._done) + len(self._failed))
        task.cancel()
        await asyncio.wait([task])

    async def _run(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            while self._done or self._failed:
                try:
                    await self._settle()
                except Exception as exc:  # noqa: BLE001  # the database may be back in a moment
                    telemetry.failed("journal.settle", exc)
                    await asyncio.sleep(_RETRY_SECONDS)
            self._idle.set()

    async def _settle(self) -> None:
        done, failed = self._done[:], self._failed[:]
        async with self._database.unit() as session:
            for owner in {entry.owner for entry in done}:
                await table.finish(session, [e for e in done if e.owner == owner], owner)
            for one in failed:
                after = None if one.wait is None else milliseconds(one.wait)
                await table.put_back(session, one.entry, error=one.error, after_ms=after)
        # Only now: what was not written is written again.
        del self._done[: len(done)]
        del self._failed[: len(failed)]
        waits = [one.wait.total_seconds() for one in failed if one.wait is not None]
        over = [*done, *(one.entry for one in failed)]
        self._settled(over, again_in=min(waits, default=None))
