"""Applications over a real socket, and a client that sends exactly the bytes that it is given."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httptools
import msgspec
import pytest
import uvicorn

from mainspring.app import App
from mainspring.serve import Server
from mainspring.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable


@dataclass
class Answer:
    """One response as it came over the wire."""

    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def errors(self) -> list[tuple[str, str]]:
        """Place and text of every violation."""
        return [(e.get("pointer") or e["parameter"], e["detail"]) for e in self.json()["errors"]]


class _Reader:
    """Collects responses; what httptools calls back."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.done = 0

    def on_message_begin(self) -> None:
        self.answers.append(Answer())

    def on_header(self, name: bytes, value: bytes) -> None:
        self.answers[-1].headers.append((name.decode().lower(), value.decode("latin-1")))

    def on_body(self, data: bytes) -> None:
        self.answers[-1].body += data

    def on_message_complete(self) -> None:
        self.done += 1


@dataclass(frozen=True)
class Peer:
    """A served application."""

    port: int

    async def exchange(self, parts: bytes | Iterable[bytes], *, head: bool = False) -> Answer:
        """Send bytes, and read one response or whatever came before the connection ended."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            sending = asyncio.ensure_future(_send(writer, parts))
            try:
                return await _receive(reader, head=head)
            finally:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def pieces(self, raw: bytes) -> AsyncIterator[bytes]:
        """The body of one response as it arrives; the head is read by nobody."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        seen = _Reader()
        parser = httptools.HttpResponseParser(seen)
        try:
            writer.write(raw)
            while not seen.done:
                parser.feed_data(await reader.read(65536))
                if seen.answers and seen.answers[-1].body:
                    piece, seen.answers[-1].body = seen.answers[-1].body, b""
                    yield piece
        finally:
            writer.close()
            await writer.wait_closed()

    async def ask(
        self,
        method: str,
        target: str,
        *,
        body: bytes = b"",
        kind: str = "",
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """One ordinary request."""
        sent = {"Host": "127.0.0.1"}
        if kind:
            sent["Content-Type"] = kind
        if body or method in {"POST", "PUT", "PATCH"}:
            sent["Content-Length"] = str(len(body))
        lines = [
            f"{method} {target} HTTP/1.1",
            *(f"{k}: {v}" for k, v in (sent | (headers or {})).items()),
        ]
        raw = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body
        return await self.exchange(raw, head=method == "HEAD")

    async def post_json(self, target: str, body: bytes | str | object) -> Answer:
        raw = body.encode() if isinstance(body, str) else body
        data = raw if isinstance(raw, bytes) else msgspec.json.encode(raw)
        return await self.ask("POST", target, body=data, kind="application/json")


async def _send(writer: asyncio.StreamWriter, parts: bytes | Iterable[bytes]) -> None:
    with contextlib.suppress(ConnectionError):
        for part in [parts] if isinstance(parts, bytes) else parts:
            writer.write(part)
            await writer.drain()


async def _receive(reader: asyncio.StreamReader, *, head: bool) -> Answer:
    seen = _Reader()
    parser = httptools.HttpResponseParser(seen)
    kept = b""
    while not seen.done:
        data = await reader.read(65536)
        if not data:
            break
        kept += data
        if head and b"\r\n\r\n" in kept:
            # The parser cannot be told that a response to HEAD has no body.
            return _head(kept)
        parser.feed_data(data)
        if seen.answers:
            seen.answers[-1].status = parser.get_status_code()
    return seen.answers[-1] if seen.answers else Answer()


def _head(raw: bytes) -> Answer:
    start, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = start.decode("latin-1").split("\r\n")
    pairs = [line.split(":", 1) for line in lines]
    return Answer(int(first.split()[1]), [(k.lower(), v.strip()) for k, v in pairs], body)


@contextlib.asynccontextmanager
async def on_uvicorn(app: App) -> AsyncIterator[Peer]:
    await asyncio.to_thread(
        app.compile
    )  # a mistake in a declaration is the test's failure, not a server's log line
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_config=None, lifespan="on", timeout_graceful_shutdown=2)
    config.load()
    # Its parts instead of `serve`, which looks only every tenth of a second whether to end.
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    try:
        await server.startup(sockets=[listener])
        assert server.started
        yield Peer(listener.getsockname()[1])
    finally:
        await server.shutdown(sockets=[listener])
        listener.close()


@contextlib.asynccontextmanager
async def on_our_own(app: App) -> AsyncIterator[Peer]:
    await asyncio.to_thread(app.compile)
    async with Server(app, port=0) as server:
        yield Peer(server.port)


@pytest.fixture
def server() -> str:
    """The name of the server that a suite runs on; `tests/http/slow` repeats it on all others."""
    return "own"


SERVERS = {"own": on_our_own, "uvicorn": on_uvicorn}


@pytest.fixture(params=sorted(SERVERS))
async def serve(request) -> AsyncIterator[Callable[[App], Awaitable[Peer]]]:
    """Serves an application until the test ends."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(app: App) -> Peer:
            return await stack.enter_async_context(SERVERS[request.param](app))

        yield start


@pytest.fixture
def app() -> App:
    """An empty application with settings of its own."""
    return App("test", settings=Settings(log_level="error"))
