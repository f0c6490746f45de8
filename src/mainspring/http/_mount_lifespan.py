"""The lifespan protocol, from the server's side.

Source: ASGI specification, Lifespan 2.0.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_STOP_GRACE_SECONDS: Final = 10.0


class _Lifespan:
    """The callables for the application."""

    def __init__(self) -> None:
        self.orders: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.started = asyncio.Event()
        self.stopped = asyncio.Event()
        self.failure: str | None = None

    async def receive(self) -> dict[str, Any]:
        return await self.orders.get()

    async def send(self, message: Any) -> None:
        match message["type"]:
            case "lifespan.startup.complete":
                self.started.set()
            case "lifespan.startup.failed":
                self.failure = message.get("message") or "no reason was given"
                self.started.set()
            case _:
                self.stopped.set()


@asynccontextmanager
async def lifespan(app: Any, state: dict[str, Any]) -> AsyncIterator[str | None]:
    """Keep an application started, and give the reason if it says that it cannot start.

    One that raises at the first message does not know the protocol, and is left alone.

    Args:
        app: the ASGI application.
        state: what it puts there is in the scope of each of its requests.
    """
    span = _Lifespan()
    scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": state}
    task = asyncio.create_task(app(scope, span.receive, span.send))
    await _order(span, "lifespan.startup", span.started, task)
    try:
        yield span.failure
    finally:
        if not task.done() and span.failure is None:
            await _order(span, "lifespan.shutdown", span.stopped, task)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _order(
    span: _Lifespan, order: str, done: asyncio.Event, task: asyncio.Task[None]
) -> None:
    """Say what to do, and wait until it is done or the application knows nothing of it."""
    span.orders.put_nowait({"type": order})
    waiting = asyncio.create_task(done.wait())
    # A start may take its time, a stop may not keep the process alive.
    timeout = None if done is span.started else _STOP_GRACE_SECONDS
    both: set[asyncio.Future[Any]] = {task, waiting}
    await asyncio.wait(both, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
