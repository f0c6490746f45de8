"""The relay: makes committed effects happen, in the process that wrote them or in any other.

Three parts. The loop starts what this process has committed and claims what others left; each
effect is a task; what became of them is noted by one settler, so that many effects share a
commit.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from mainspring import telemetry
from mainspring.data import _journal_table as table
from mainspring.data._errors import GiveUp
from mainspring.data._lease import Leases
from mainspring.data._settler import Settler

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from mainspring.data._database import Database
    from mainspring.data._journal import Effect
    from mainspring.data._journal_table import Entry
    from mainspring.data._lease import Lease

_PREFIX: Final = "journal/"
_MOST_READY: Final = 1000
"""Entries that this process has claimed by writing them; what is more is left to be claimed."""
_BUSY_POLL: Final = 0.1
_IDLE_POLL: Final = 5.0
"""How long a row waits at most that was written by a process without a relay."""
_RETRY_SECONDS: Final = 0.5
_RETRY_LIMIT_SECONDS: Final = 8.0
_DRAIN: Final = 5.0


class Relay:
    """See the module. One per process and database.

    Args:
        database: where the journal is.
        effects: by kind; read at each use, so that more may be declared.
        concurrency: how many run at the same time.
        span: see `Leases`.
    """

    def __init__(
        self,
        database: Database,
        effects: Mapping[str, Effect],
        *,
        concurrency: int,
        span: timedelta,
    ) -> None:
        self._database = database
        self._effects = effects
        self._concurrency = concurrency
        self._span = span
        self._leases: Leases | None = None
        self._lease: Lease | None = None
        self._ready: deque[Entry] = deque()
        self._in_hand: set[int] = set()
        self._strays: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._settler = Settler(database, self._settled)
        self._work = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None
        self._next_sweep = 0.0
        self._next_rescue = 0.0
        self._poll = _BUSY_POLL

    @property
    def running(self) -> bool:
        """Whether it has been started and not stopped."""
        return self._loop is not None

    # what the journal tells it

    def owner_for(self, count: int) -> str | None:
        """In whose name that many new rows are to be claimed by writing them; None: nobody's."""
        if self._loop is None or len(self._ready) + count > _MOST_READY or not self._owns():
            return None
        return self._lease.name if self._lease else None

    def committed(self, mine: list[Entry], *, others: bool) -> None:
        """What a unit has written is safe.

        Args:
            mine: claimed in the name of this process.
            others: there are rows that have to be claimed.
        """
        self._ready += mine
        self._in_hand.update(entry.id for entry in mine)
        if others:
            self._next_sweep = 0.0
        if mine or others:
            self._work.set()

    def wake(self) -> None:
        """Look for rows now."""
        self.committed([], others=True)

    # life

    async def start(self) -> None:
        """Begin. It does not wait for the database, which may be down."""
        self._leases = Leases(self._database, span=self._span)
        await self._leases.__aenter__()
        self._settler.start()
        self._loop = asyncio.create_task(self._run(), name="mainspring-journal")

    async def stop(self) -> None:
        """Let running effects end, give back what was not begun, and stop the heartbeat last."""
        loop, self._loop = self._loop, None
        leases, self._leases = self._leases, None
        if loop is None or leases is None:
            return
        loop.cancel()
        await asyncio.wait([loop])
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=_DRAIN)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)
        await self._settler.stop()
        with contextlib.suppress(Exception):  # the others find out by the lease's end
            await self._give_back(leases)
        self._ready.clear()
        await leases.__aexit__(None, None, None)

    async def _give_back(self, leases: Leases) -> None:
        lease, self._lease = self._lease, None
        if lease is not None:
            async with self._database.unit() as session:
                await table.release(session, lease.name)
            await leases.give(lease, forget=True)

    def _owns(self) -> bool:
        lease, leases = self._lease, self._leases
        return lease is not None and leases is not None and leases.held(lease)

    # the loop

    async def _run(self) -> None:
        failures = 0
        while True:
            self._work.clear()
            try:
                if not self._owns():
                    await self._become_owner()
                self._start_ready()
                await self._sweep()
            except Exception as exc:  # noqa: BLE001  # the database may be back in a moment
                telemetry.failed("journal.sweep", exc)
                await asyncio.sleep(min(_RETRY_SECONDS * 2**failures, _RETRY_LIMIT_SECONDS))
                failures = min(failures + 1, 10)
                continue
            failures = 0
            # Not `wait_for`: on Python 3.11 it swallows a cancellation that comes with the event.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pause()):
                    await self._work.wait()

    def _pause(self) -> float:
        if len(self._tasks) >= self._concurrency:
            return _IDLE_POLL  # the end of a task wakes it
        return max(0.0, self._next_sweep - time.monotonic())

    async def _become_owner(self) -> None:
        assert self._leases is not None
        # Never the same name twice, so what was claimed under the lost one stays out of reach.
        self._lease = None
        self._ready.clear()
        self._in_hand.clear()
        self._strays.clear()
        self._lease = await self._leases.take(_PREFIX + telemetry.new_id())
        self._next_sweep = self._next_rescue = 0.0

    def _start_ready(self) -> None:
        while self._ready and len(self._tasks) < self._concurrency:
            self._start(self._ready.popleft())

    def _start(self, entry: Entry) -> None:
        task = asyncio.create_task(self._perform(entry), name=f"mainspring-effect-{entry.kind}")
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._work.set()

    async def _sweep(self) -> None:
        """Claim what nobody has, and let go what the dead have."""
        room = self._concurrency - len(self._tasks) - len(self._ready)
        now = time.monotonic()
        if self._lease is None or now < self._next_sweep or room <= 0:
            return
        found: list[Entry] = []
        if now >= self._next_rescue:
            await self._rescue(self._lease)
            self._next_rescue = now + self._span.total_seconds() / 3
        if self._effects:
            found = await self._claim(self._lease, room)
        for entry in found:
            self._start(entry)
        # Nobody polls hard for nothing: from a tenth of a second the pause doubles up to
        # seconds, and each is shortened at random, so that processes do not ask together.
        self._poll = _BUSY_POLL if found else min(self._poll * 2, _IDLE_POLL)
        pause = 0.0 if len(found) == room else self._poll * random.uniform(0.5, 1)  # noqa: S311  # no secret
        self._next_sweep = time.monotonic() + pause

    async def _claim(self, lease: Lease, room: int) -> list[Entry]:
        if self._database.engine.dialect.name == "sqlite":
            # A claim takes the one place to write; a look takes nothing from anybody.
            async with self._database.unit(write=False) as session:
                if not await table.anything_due(session, self._effects):
                    return []
        async with self._database.unit() as session:
            found = await table.claim(session, lease.name, self._effects, limit=room)
        self._in_hand.update(entry.id for entry in found)
        return found

    async def _rescue(self, lease: Lease) -> None:
        async with self._database.unit() as session:
            rescued = await table.rescue(session, prefix=_PREFIX)
            # Rows of ours that nobody here knows of: the connection was lost in the middle of
            # a commit, which has happened. Only those that were strays the last time too, since
            # a row is in the table a moment before its unit tells us.
            strays = await table.claimed_by(session, lease.name) - self._in_hand
            lost = strays & self._strays
            await table.release(session, lease.name, lost)
        self._strays = strays - lost
        if rescued or lost:
            telemetry.emit("journal.rescued", rows=rescued + len(lost))

    # one effect

    async def _perform(self, entry: Entry) -> None:
        if self._lease is None or entry.owner != self._lease.name or not self._owns():
            return  # the lease was lost, and somebody else makes it happen
        effect = self._effects[entry.kind]
        if entry.attempt > effect.retry.attempts:
            ended = GiveUp(f"its process ended during each of {entry.attempt - 1} attempts")
            self._settler.failed(entry, ended, effect.retry)
            return
        try:
            with telemetry.span("journal.effect", kind=entry.kind, attempt=entry.attempt):
                async with asyncio.timeout(effect.timeout.total_seconds()):
                    await effect.run(entry)
        except asyncio.CancelledError:
            raise  # the process ends; the claim is given back
        except Exception as exc:  # noqa: BLE001  # whatever it was, it is noted and retried
            self._settler.failed(entry, exc, effect.retry)
        else:
            self._settler.done(entry)

    def _settled(self, entries: list[Entry], *, again_in: float | None) -> None:
        """The settler has noted something: what waits behind it may be due."""
        self._in_hand.difference_update(entry.id for entry in entries)
        if any(entry.key is not None for entry in entries):
            self._next_sweep = 0.0
        if again_in is not None:
            self._next_sweep = min(self._next_sweep, time.monotonic() + again_in)
        self._work.set()
