"""The application that the raw-socket suite talks to, under whichever server."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator  # handlers' annotations are read at start
from datetime import timedelta
from typing import Any

from mainspring.app import App
from mainspring.auth import anyone
from mainspring.http import Request, Response, WebSocket
from mainspring.settings import Settings

app = App(
    "target",
    settings=Settings(
        allowed_hosts=("localhost", "127.0.0.1", "::1", "testserver"),
        body_limit_bytes=1024 * 1024,
        log_level="critical",
    ),
)
seen: set[str] = set()
events: list[str] = []


@app.get("/", allow=anyone)
async def home() -> dict[str, bool]:
    return {"ok": True}


@app.route("/echo", methods=["GET", "POST", "PUT"], allow=anyone)
async def echo(request: Request) -> dict[str, Any]:
    body = await request.read()
    return {
        "method": request.method,
        "path": request.path,
        "query": request.query_string.decode("latin-1"),
        "host": request.host,
        "url": request.url,
        "scheme": request.scheme,
        "client": request.client[0] if request.client else None,
        "headers": {name: request.headers[name] for name in request.headers},
        "size": len(body),
        "sha": hashlib.sha256(body).hexdigest(),
    }


@app.get("/path/{rest:path}", allow=anyone)
async def path(rest: str) -> dict[str, str]:
    return {"rest": rest}


@app.route("/second/{token}", methods=["GET", "POST"], allow=anyone)
async def second(token: str) -> dict[str, str]:
    """What must never run after a framing error."""
    seen.add(token)
    return {"token": token}


@app.get("/seen/{token}", allow=anyone)
async def was_seen(token: str) -> dict[str, bool]:
    return {"seen": token in seen}


@app.get("/number/{n}", allow=anyone)
async def number(n: int) -> dict[str, int]:
    # Some wait and some do not, so that order has to be kept by the server.
    if n % 3 == 0:
        await asyncio.sleep(0.001)
    return {"n": n}


@app.get("/sleep", allow=anyone)
async def sleep(seconds: float) -> dict[str, float]:
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        events.append("cancelled")
        await asyncio.sleep(0)
        events.append("cleaned up")
        raise
    return {"slept": seconds}


@app.get("/events", allow=anyone)
async def past_events() -> list[str]:
    return events


@app.post("/ignore", allow=anyone)
async def ignore() -> dict[str, bool]:
    """Answers without reading the body."""
    return {"ok": True}


@app.post("/unread", allow=anyone)
async def unread() -> dict[str, bool]:
    """Waits, with a body that it does not read."""
    await asyncio.sleep(3)
    return {"ok": True}


@app.post("/upload", allow=anyone, body_limit_bytes=64 * 1024 * 1024, deadline=None)
async def upload(request: Request) -> dict[str, Any]:
    digest, size = hashlib.sha256(), 0
    async for part in request.stream():
        digest.update(part)
        size += len(part)
    return {"size": size, "sha": digest.hexdigest()}


async def _numbers(count: int, *, pause: float = 0.0, fail_at: int = -1) -> AsyncIterator[bytes]:
    try:
        for n in range(count):
            if n == fail_at:
                raise RuntimeError("the stream broke")
            yield b"%d\n" % n
            if pause:
                await asyncio.sleep(pause)
    finally:
        events.append("stream closed")


@app.get("/stream", allow=anyone, deadline=None)
async def stream(count: int = 10, pause: float = 0.0, fail_at: int = -1) -> Response:
    return Response(_numbers(count, pause=pause, fail_at=fail_at), media_type="text/plain")


@app.get("/events-stream", allow=anyone, deadline=None)
async def event_stream() -> Response:
    return Response(_numbers(10**9, pause=0.05), media_type="text/event-stream")


@app.get("/large", allow=anyone)
async def large(size: int) -> Response:
    return Response(b"x" * size, media_type="application/octet-stream")


@app.websocket("/talk", allow=anyone)
async def talk(socket: WebSocket) -> None:
    """Says a number every now and then."""
    n = 0
    while True:
        await socket.send_text(str(n))
        await asyncio.sleep(0.1)
        n += 1


async def _blocks(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"x" * 65536


@app.get("/endless", allow=anyone, deadline=None)
async def endless(count: int = 10**6) -> Response:
    return Response(_blocks(count), media_type="application/octet-stream")


@app.get("/short", allow=anyone, deadline=timedelta(seconds=0.2))
async def short() -> dict[str, bool]:
    await asyncio.sleep(60)
    return {"ok": False}


UNSAFE = {
    "crlf": (b"x-made", b"a\r\nx-injected: 1"),
    "lf": (b"x-made", b"a\nx-injected: 1"),
    "cr": (b"x-made", b"a\rb"),
    "nul": (b"x-made", b"a\x00b"),
    "control": (b"x-made", b"a\x1fb"),
    "name": (b"x made", b"a"),
    "name-crlf": (b"x-made: 1\r\nx-injected", b"1"),
}


@app.get("/unsafe/{kind}", allow=anyone)
async def unsafe(kind: str) -> Response:
    """A header that the application put past every check of the framework."""
    response = Response(b"made", media_type="text/plain")
    response.headers = [*response.headers, UNSAFE[kind]]
    return response


@app.get("/lies/{kind}", allow=anyone)
async def lies(kind: str) -> Response:
    """A response that is not what its headers say."""
    match kind:
        case "longer":
            return Response(b"0123456789", headers={"content-length": "5"})
        case "shorter":
            return Response(b"01234", headers={"content-length": "10"})
        case "stream-longer":
            return Response(_numbers(10), headers={"content-length": "5"})
        case "stream-shorter":
            return Response(_numbers(2), headers={"content-length": "100"})
        case "two-lengths":
            response = Response(b"01234")
            response.headers = [(b"content-length", b"5"), (b"content-length", b"7")]
            return response
        case "chunked-too":
            return Response(b"01234", headers={"transfer-encoding": "chunked"})
        case "body-204":
            return Response(b"01234", status=204)
        case "body-304":
            return Response(b"01234", status=304)
        case _:
            return Response(b"01234", status=102)
