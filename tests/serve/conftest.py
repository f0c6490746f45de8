from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from mainspring.serve import Config, Limits, Server
from tests.serve.target import app, events, seen
from tests.serve.wire import Answer, parse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


@dataclass(slots=True)
class Client:
    """A connection that sends bytes and reads answers."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    raw: bytes = b""

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def get(self, path: str, *headers: str) -> Answer:
        lines = [f"GET {path} HTTP/1.1", "Host: localhost", *headers]
        await self.send("\r\n".join([*lines, "", ""]).encode())
        return await self.answer()

    async def answer(self, *, head: bool = False) -> Answer:
        """The next answer."""
        while not (found := parse(self.raw, head=head)):
            data = await self.reader.read(65536)
            if not data:
                found = parse(self.raw, ended=True, head=head)
                if not found:
                    raise ConnectionError("closed without an answer")
                break
            self.raw += data
        first = found[0]
        # What follows the first answer belongs to the next call.
        self.raw = self.raw[_length(self.raw, first) :]
        return first

    async def rest(self) -> bytes:
        """Everything until the server closes; what a reset cuts off is lost."""
        with contextlib.suppress(ConnectionError):
            while data := await self.reader.read(65536):
                self.raw += data
        return self.raw

    def close(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        self.writer.transport.abort()


def _length(raw: bytes, first: Answer) -> int:
    """How long the first answer is: the shortest prefix that parses to it."""
    head = raw.index(b"\r\n\r\n") + 4
    if first.headers.get("transfer-encoding") == "chunked":
        return raw.index(b"0\r\n\r\n", head) + 5 if first.whole else len(raw)
    return head + len(first.body)


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Any]]:
    """Starts our server with given limits, and ends it after the test."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(
            *, application: Any = app, config: Config | None = None, **limits: Any
        ) -> Server:
            config = config or Config(port=0, limits=Limits(**limits))
            events.clear()
            seen.clear()
            return await stack.enter_async_context(Server(application, config=config))

        yield start


@pytest.fixture
async def connect() -> AsyncIterator[Callable[..., Any]]:
    """Opens connections, and closes them before the server ends."""
    opened: list[Client] = []

    async def open_one(server: Server, **options: Any) -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", server.port, **options))
        opened.append(client)
        return client

    yield open_one
    for client in opened:
        client.reset()


async def until(condition: Callable[[], bool], *, bound: float = 5.0) -> None:
    """Wait for a condition, not for a time."""
    async with asyncio.timeout(bound):
        while not condition():
            await asyncio.sleep(0.005)
