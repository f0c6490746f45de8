"""One process that serves until a signal ends it."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from mainspring.serve._server import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from mainspring.serve._config import Config
    from mainspring.serve._server import Application


def run_loop(main: Coroutine[Any, Any, None]) -> None:
    """Run the coroutine on the fastest event loop there is."""
    factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    with suppress(ImportError):
        import uvloop  # noqa: PLC0415  # not on every platform

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main)


class Stop:
    """The wish to stop, as signals bring it.

    The first SIGTERM or SIGINT is a wish, the second does not wait for running requests.
    SIGINT comes from a person at a terminal, so that connections on which nothing happens
    are not waited for.

    Attributes:
        idle: how long to wait for those; None for the configured time.
        force: set when running requests shall be cancelled.
    """

    def __init__(self) -> None:
        self.idle: timedelta | None = None
        self.force = asyncio.Event()
        self._wished = asyncio.Event()

    def listen(self) -> None:
        """Take the signals from here on."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.request)
        loop.add_signal_handler(signal.SIGINT, self._interrupt)

    def request(self) -> None:
        """Stop; asked twice, at once."""
        if self._wished.is_set():
            self.force.set()
        self._wished.set()

    async def wait(self) -> None:
        """Until there is the wish."""
        await self._wished.wait()

    def _interrupt(self) -> None:
        self.idle = timedelta(0)
        self.request()


async def serve(app: Application, config: Config) -> None:
    """Serve in this process until a signal."""
    stop = Stop()
    stop.listen()
    async with Server(app, config=config) as server:
        settle()
        say(f"serving on {server.address}")
        await stop.wait()
        await server.stop(idle=stop.idle, force=stop.force)


def settle() -> None:
    """Exempt from garbage collection what lives as long as the process: modules, routes, pools.

    A full collection walks all of it, tens of milliseconds in which nobody is answered.
    """
    gc.freeze()


def say(text: str) -> None:
    """Tell the person at the terminal."""
    print(f"mainspring: {text}", file=sys.stderr)  # noqa: T201  # the server's own voice
