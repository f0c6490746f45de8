"""One process that serves until a signal ends it."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from mainspring.serve._application import load_application
from mainspring.serve._server import Server
from mainspring.serve._sockets import describe

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from mainspring.serve._config import Config


def run_loop(main: Coroutine[Any, Any, None]) -> None:
    """Run the coroutine on the fastest event loop there is."""
    factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    with suppress(ImportError):
        import uvloop  # noqa: PLC0415  # not on every platform

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main)


async def serve(app_path: str, config: Config) -> None:
    """Serve until SIGTERM or SIGINT; a second one does not wait for running requests.

    SIGINT comes from a person at a terminal, so that connections on which nothing happens
    are not waited for.
    """
    app = load_application(app_path)
    stop, force = asyncio.Event(), asyncio.Event()
    idle: timedelta | None = None

    def on_signal(number: signal.Signals) -> None:
        nonlocal idle
        if stop.is_set():
            force.set()
        if number == signal.SIGINT:
            idle = timedelta(0)
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    async with Server(app, config=config) as server:
        scheme = server.worker.scheme
        print(f"mainspring: serving on {scheme}://{describe(config)}", file=sys.stderr)  # noqa: T201
        await stop.wait()
        await server.stop(idle=idle, force=force)
