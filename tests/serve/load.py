"""Clients of every kind, at work while a server is stopped and replaced.

A request has failed when any of its bytes were sent and no whole answer came. A connection
that could not be opened, or that was seen to be closed before anything was sent, is no failure:
nothing was asked for.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import os
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_REFUSED = (ConnectionRefusedError, ConnectionResetError, TimeoutError, FileNotFoundError)


@dataclass
class Load:
    """What the clients have seen so far."""

    port: int
    done: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    stopping: bool = False

    async def run(self, kinds: dict[Callable[[Load], Awaitable[None]], int]) -> None:
        """Run so many clients of each kind until `stopping`."""
        async with asyncio.TaskGroup() as group:
            for kind, count in kinds.items():
                for _ in range(count):
                    group.create_task(self._repeat(kind))

    async def _repeat(self, kind: Callable[[Load], Awaitable[None]]) -> None:
        while not self.stopping:
            try:
                await kind(self)
            except _REFUSED:
                await asyncio.sleep(0.02)

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        async with asyncio.timeout(10):
            return await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 20)

    @contextlib.asynccontextmanager
    async def request(self, kind: str):
        """What is sent inside must be answered."""
        try:
            async with asyncio.timeout(40):
                yield
        except (OSError, asyncio.IncompleteReadError, TimeoutError, ValueError) as exc:
            self.failed.append(f"{kind}: {exc!r}")
        else:
            self.done[kind] += 1


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bool, bytes]:
    """Status, whether the connection goes on, and body."""
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    lower = head.lower()
    if b"transfer-encoding: chunked" in lower:
        body = b""
        while size := int((await reader.readuntil(b"\r\n")), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readexactly(2)
    else:
        length = lower.split(b"content-length: ")[1].split(b"\r\n")[0]
        body = await reader.readexactly(int(length))
    return status, b"connection: close" not in lower, body


def _ok(status: int) -> None:
    if status != 200:
        raise ValueError(f"status {status}")


async def keep_alive(load: Load) -> None:
    """One request after the other on one connection, with pauses in between."""
    reader, writer = await load.open()
    with contextlib.closing(writer):
        goes_on = True
        while goes_on and not load.stopping:
            await asyncio.sleep(random.uniform(0, 0.2))
            if reader.at_eof():
                return
            async with load.request("keep-alive"):
                writer.write(
                    b"GET /number/%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % random.randint(0, 9)
                )
                goes_on = False
                status, goes_on, _ = await _answer(reader)
                _ok(status)


async def silent(load: Load) -> None:
    """A connection on which nothing is said for a while."""
    reader, writer = await load.open()
    with contextlib.closing(writer):
        await asyncio.sleep(random.uniform(0, 1.5))
        if reader.at_eof():
            return
        async with load.request("silent at first"):
            writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            _ok((await _answer(reader))[0])


async def once(load: Load) -> None:
    """A new connection for each request."""
    reader, writer = await load.open()
    with contextlib.closing(writer):
        async with load.request("once"):
            writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            _ok((await _answer(reader))[0])
    await asyncio.sleep(random.uniform(0, 0.05))


async def upload(load: Load) -> None:
    """A body that takes its time."""
    reader, writer = await load.open()
    with contextlib.closing(writer):
        async with load.request("upload"):
            data = os.urandom(200_000)
            writer.write(
                b"POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 200000\r\n\r\n"
            )
            for at in range(0, len(data), 20_000):
                writer.write(data[at : at + 20_000])
                await writer.drain()
                await asyncio.sleep(0.05)
            status, _, body = await _answer(reader)
            _ok(status)
            if hashlib.sha256(data).hexdigest().encode() not in body:
                raise ValueError("another body arrived")


async def download(load: Load) -> None:
    """A stream with an end."""
    reader, writer = await load.open()
    with contextlib.closing(writer):
        async with load.request("download"):
            writer.write(b"GET /stream?count=20&pause=0.03 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            status, _, body = await _answer(reader)
            _ok(status)
            if body.count(b"\n") != 20:
                raise ValueError("the stream was cut")


async def listen(load: Load) -> None:
    """An event stream, which has no end but the server's; it must be a clean one."""
    reader, writer = await load.open()
    with contextlib.closing(writer):
        async with load.request("event stream"):
            writer.write(b"GET /events-stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            _ok(int(head.split(b" ", 2)[1]))
            while size := int((await reader.readuntil(b"\r\n")), 16):
                await reader.readexactly(size + 2)
                if load.stopping:
                    return
            await reader.readexactly(2)


async def talk(load: Load) -> None:
    """A web socket, which must be closed with 1001."""
    reader, writer = await load.open()
    with contextlib.closing(writer):
        async with load.request("web socket"):
            key = base64.b64encode(os.urandom(16))
            writer.write(
                b"GET /talk HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
                b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                b"Sec-WebSocket-Key: " + key + b"\r\n\r\n"
            )
            head = await reader.readuntil(b"\r\n\r\n")
            if b" 101 " not in head:
                raise ValueError(head.decode())
            while not load.stopping:
                opcode, length = await reader.readexactly(2)
                data = await reader.readexactly(length)
                if opcode == 0x88:
                    if data[:2] != b"\x03\xe9":
                        raise ValueError(f"closed with {data!r}")
                    writer.write(b"\x88\x82\x00\x00\x00\x00\x03\xe9")
                    break


EVERYBODY = {
    keep_alive: 50, silent: 20, once: 4, upload: 6, download: 10, listen: 5, talk: 5,
}  # fmt: skip
