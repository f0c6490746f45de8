"""A heartbeat: something small that is written again and again while the process lives.

It runs in a thread with an event loop and a connection of its own, so that neither a blocked
loop nor an exhausted pool stops it. What stops it is what should: the end of the process, a
process that is not given any time, a database that cannot be reached.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Final

from mainspring import telemetry
from mainspring.data._database import Database

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import timedelta

_JOIN_SECONDS: Final = 5.0


class Heartbeat:
    """Calls `beat` every so often from its own thread until stopped.

    A beat that fails is told to telemetry and tried again after a fifth of the time; one that
    takes longer than the time between two is cancelled.

    Args:
        url: of the database that `beat` is given.
        beat: what is done each time.
        every: the time between the beginnings of two.
    """

    def __init__(
        self, url: str, beat: Callable[[Database], Awaitable[None]], *, every: timedelta
    ) -> None:
        self._url = url
        self._beat = beat
        self._every = every.total_seconds()
        self._stopped = threading.Event()
        self._wake: Callable[[], object] = lambda: None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin; the first beat is one span from now."""
        self._stopped.clear()
        # A daemon: a process that ends without stopping it is a dead owner, and may be one.
        self._thread = threading.Thread(target=self._run, name="mainspring-heartbeat", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """End after the beat that is under way."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._stopped.set()
            self._wake()
            await asyncio.to_thread(thread.join, _JOIN_SECONDS)

    def _run(self) -> None:
        try:
            asyncio.run(self._go_on())
        except Exception as exc:  # noqa: BLE001  # nobody waits for the thread; it must be known
            telemetry.failed("data.heartbeat", exc)

    async def _go_on(self) -> None:
        loop = asyncio.get_running_loop()
        waiting = asyncio.Event()

        def wake() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(waiting.set)

        self._wake = wake
        pause = self._every
        async with Database(self._url, pool_size=1) as database:
            while not self._stopped.is_set():
                try:
                    async with asyncio.timeout(pause):
                        await waiting.wait()
                except TimeoutError:
                    pause = await self._once(database)

    async def _once(self, database: Database) -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(self._every):
                await self._beat(database)
        except Exception as exc:  # noqa: BLE001  # whatever it was, the next beat may succeed
            telemetry.failed("data.heartbeat", exc)
            return self._every / 5
        return max(self._every - (loop.time() - began), self._every / 5)
