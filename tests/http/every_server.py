"""The servers that an application runs under, in the test's own process."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from inspect import signature
from typing import TYPE_CHECKING, Any

import hypercorn.asyncio
import hypercorn.config
import uvicorn

from mainspring.serve import Server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager
    from types import ModuleType

    Serve = Callable[[Any], AbstractAsyncContextManager[int]]


@contextlib.asynccontextmanager
async def on_own(app: Any) -> AsyncIterator[int]:
    """The port where the built-in server serves."""
    async with Server(app, port=0) as server:
        yield server.port


@contextlib.asynccontextmanager
async def on_uvicorn(app: Any, **options: Any) -> AsyncIterator[int]:
    """The port where Uvicorn serves."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app, log_config=None, lifespan="on", timeout_graceful_shutdown=2, **options
    )
    config.load()
    # Its parts instead of `serve`, which looks only every tenth of a second whether to end.
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    try:
        await server.startup(sockets=[listener])
        assert server.started
        yield listener.getsockname()[1]
    finally:
        await server.shutdown(sockets=[listener])
        listener.close()


@contextlib.asynccontextmanager
async def on_hypercorn(app: Any) -> AsyncIterator[int]:
    """The port where Hypercorn serves."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = hypercorn.config.Config()
    port = listener.getsockname()[1]
    config.bind = [f"fd://{listener.detach()}"]
    config.errorlog = logging.getLogger("hypercorn.error")
    config.graceful_timeout = 1
    stop = asyncio.Event()
    serving = asyncio.create_task(
        hypercorn.asyncio.serve(app, config, shutdown_trigger=stop.wait)  # type: ignore[arg-type]
    )
    try:
        yield port
    finally:
        stop.set()
        await serving


@contextlib.asynccontextmanager
async def on_granian(app: Any) -> AsyncIterator[int]:
    """The port where Granian serves."""
    from granian.server.embed import Server as Granian

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    server = Granian(app, address="127.0.0.1", port=port, interface="asgi", log_enabled=False)
    serving = asyncio.create_task(server.serve())
    before = asyncio.all_tasks()
    try:
        await _answers(port)
        yield port
    finally:
        server.stop()
        await serving
        # It stops without waiting for what its connections are still doing, and never answers a
        # send to a client that is gone, so that our goodbye to one takes its whole five seconds.
        left = [task for task in asyncio.all_tasks() - before if "future_watcher" in repr(task)]
        if left:
            await asyncio.wait(left, timeout=10)


async def _answers(port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.01)
        else:
            writer.close()
            return


EVERY: dict[str, Serve] = {
    "granian": on_granian,
    "hypercorn": on_hypercorn,
    "own": on_own,
    "uvicorn": on_uvicorn,
}


def repeated(suite: ModuleType) -> dict[str, Any]:
    """The tests and fixtures of a module that are about a server, for another module to repeat."""
    everything = vars(suite)
    tests = [name for name in everything if name.startswith("test_")]
    serving = {name for name in tests if "serve" in signature(everything[name]).parameters}
    return {name: everything[name] for name in everything.keys() & (_FIXTURES | serving)}


_FIXTURES = {"app", "legacy", "serve"}
