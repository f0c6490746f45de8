"""A worker process: what `_supervisor` starts."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from typing import TYPE_CHECKING

import msgspec

from mainspring.errors import MainspringError
from mainspring.serve._application import load_application
from mainspring.serve._order import READY, RETIRE, Order
from mainspring.serve._process import Stop, run_loop, say, settle
from mainspring.serve._server import Server

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.serve._server import Application


async def work(app: Application, told: Order, channel: socket.socket) -> None:
    """Serve until the parent says stop, or is gone."""
    reader, writer = await asyncio.open_connection(sock=channel)
    stop = Stop()
    lifeline = asyncio.create_task(_until_end(reader, stop.request), name="lifeline")
    sockets = [socket.socket(fileno=fd) for fd in told.sockets]
    for sock in sockets:
        sock.setblocking(False)  # noqa: FBT003  # the socket API's own form
    server = Server(app, config=told.config, sockets=sockets, retire=lambda: writer.write(RETIRE))
    async with server:
        if told.requests:
            server.worker.requests_left = told.requests
        stop.listen()
        settle()
        writer.write(READY)
        await stop.wait()
        await server.stop(idle=stop.idle, force=stop.force)
    lifeline.cancel()
    writer.close()


async def _until_end(reader: asyncio.StreamReader, then: Callable[[], None]) -> None:
    await reader.read()
    then()


def main(fd: int) -> None:
    """Read the order, load the application, serve.

    Raises:
        SystemExit: with status 1 if it could not start; the reason was printed.
    """
    channel = socket.socket(fileno=fd)
    with channel.makefile("rb", buffering=0) as lines:
        told = msgspec.json.decode(lines.readline(), type=Order)
    try:
        run_loop(work(load_application(told.app), told, channel))
    except MainspringError as exc:
        say(str(exc))
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        # Ctrl-C reaches every process of a terminal, also one that is still importing.
        raise SystemExit(128 + signal.SIGINT) from None


if __name__ == "__main__":
    main(int(sys.argv[1]))
