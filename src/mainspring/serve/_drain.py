"""The end of a server: nothing new, everything that has begun, and all of it within a bound."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from mainspring import telemetry
from mainspring.serve._sockets import refuse_newcomers

if TYPE_CHECKING:
    from datetime import timedelta

    from mainspring.serve._listener import Listener
    from mainspring.serve._worker import Worker

# A handshake that had begun ends within a round trip; 0.2 s is one around the world.
_HANDSHAKE_SECONDS: Final = 0.2
_LOOK_SECONDS: Final = 0.02
_CANCEL_SECONDS: Final = 5.0


async def drain(  # what a stop depends on
    worker: Worker,
    listener: Listener,
    *,
    last: bool,
    bound: timedelta,
    idle: timedelta,
    force: asyncio.Event,
) -> None:
    """Stop a worker.

    1. No handshake begins any more, and what is in the kernel's queue is accepted. Sockets
       that others hold too are only closed: whoever holds them serves their queue.
    2. Running requests go on. The next answer of each connection says `connection: close`.
    3. Connections on which nothing happens get `idle` to begin a request, and are closed.
    4. After `bound`, or when `force` is set, what still runs is cancelled and rolls back.
    """
    loop = worker.loop
    began = loop.time()
    worker.drain()
    worker.end_streams()
    if last and idle and not force.is_set():
        filtered = [sock for sock in listener.sockets if refuse_newcomers(sock)]
        if filtered:
            await asyncio.sleep(_HANDSHAKE_SECONDS)
    listener.drain_queue()
    listener.close()
    ends, idle_ends = began + bound.total_seconds(), began + idle.total_seconds()
    while (worker.connections or listener.opening) and not force.is_set():
        now = loop.time()
        if now >= ends:
            break
        if now >= idle_ends:
            worker.close_idle(longer_than_seconds=0)
        worker.end_streams()
        await asyncio.sleep(_LOOK_SECONDS)
    await _cancel_all(worker)


async def _cancel_all(worker: Worker) -> None:
    left = list(worker.connections)
    if not left:
        return
    telemetry.emit("serve.cancelled", requests=sum(c.task is not None for c in left))
    for connection in left:
        connection.give_up()
    ends = worker.loop.time() + _CANCEL_SECONDS
    # Rolling back takes as long as it takes the database to answer, within reason.
    while worker.connections and worker.loop.time() < ends:  # noqa: ASYNC110  # only a stop pays for looking
        await asyncio.sleep(_LOOK_SECONDS)
