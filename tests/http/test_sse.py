"""Streams out and in, and server-sent events, over real sockets on every server."""

from __future__ import annotations

import asyncio
import contextlib
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import pytest
from sqlalchemy import func, select

from mainspring import deadline, telemetry
from mainspring.app import App
from mainspring.auth import anyone
from mainspring.data import Session
from mainspring.http import (
    Event,
    EventStream,
    LastEventId,
    Request,
    Response,
    RouteError,
    Stream,
    UnsafeEvent,
    _sse,
)
from mainspring.http._sse import frame
from mainspring.settings import Settings
from tests.auth.conftest import opened
from tests.auth.members import Essay, Member
from tests.http.every_server import EVERY, on_own

if TYPE_CHECKING:
    from pathlib import Path


class Tick(msgspec.Struct):
    number: int
    text: str = ""


@pytest.fixture
def app() -> App:
    return App("test", settings=Settings(log_level="critical"))


@pytest.fixture
def serve(server) -> Any:
    @contextlib.asynccontextmanager
    async def start(app: App) -> AsyncIterator[httpx.AsyncClient]:
        app.compile()
        async with (
            EVERY[server](app) as port,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
        ):
            yield client

    return start


def events_of(raw: str) -> list[dict[str, str]]:
    """What a browser makes of a stream (WHATWG HTML, section 9.2.6)."""
    found: list[dict[str, str]] = []
    for block in raw.split("\n\n"):
        event: dict[str, str] = {}
        for line in block.split("\n"):
            name, _, value = line.partition(": ")
            if line and not line.startswith(":"):
                event[name] = f"{event[name]}\n{value}" if name in event else value
        if event:
            found.append(event)
    return found


async def test_events_arrive_one_by_one_with_their_parts(serve: Any, app: App) -> None:
    gate = asyncio.Event()

    @app.get("/ticks", allow=anyone)
    async def ticks(start: int = 1) -> EventStream[Tick]:
        yield Event(Tick(start), event="tick", id="7", retry=timedelta(seconds=2))
        await gate.wait()
        yield Tick(start + 1, "two\nlines")

    async with serve(app) as client, client.stream("GET", "/ticks?start=5") as response:
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/event-stream"
        assert response.headers["cache-control"] == "no-cache"
        assert response.headers["x-content-type-options"] == "nosniff"
        pieces = response.aiter_text()
        raw = ""
        while "tick" not in raw:
            raw += await anext(pieces)
        assert not gate.is_set()
        gate.set()
        async for piece in pieces:
            raw += piece
    assert events_of(raw) == [
        {"event": "tick", "id": "7", "retry": "2000", "data": '{"number":5,"text":""}'},
        {"data": '{"number":6,"text":"two\\nlines"}'},
    ]


async def test_text_with_every_kind_of_line_break_stays_one_event() -> None:
    assert frame("a\nb\r\nc\rd\u2028e") == "data: a\ndata: b\ndata: c\ndata: d\u2028e\n\n".encode()
    assert frame("") == b"data: \n\n"
    assert frame(Event("x", event="note", id="")) == b"event: note\nid: \ndata: x\n\n"


@pytest.mark.parametrize(
    "event",
    [Event("x", event="a\ndata: b"), Event("x", id="a\r"), Event("x", id="a\0b")],
)
def test_a_part_that_would_break_out_of_its_line_is_an_error(event: Event[str]) -> None:
    with pytest.raises(UnsafeEvent):
        frame(event)


async def test_a_silent_stream_is_kept_alive(
    serve: Any, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_sse, "KEEP_ALIVE_SECONDS", 0.01)
    go = asyncio.Event()

    @app.get("/quiet", allow=anyone)
    async def quiet() -> EventStream[str]:
        await go.wait()
        yield "done"

    async with serve(app) as client, client.stream("GET", "/quiet") as response:
        raw = ""
        async for piece in response.aiter_text():
            raw += piece
            if raw.count(":\n\n") >= 3:
                go.set()
    assert raw.endswith("data: done\n\n")


async def test_the_generator_is_closed_when_the_client_leaves(serve: Any, app: App) -> None:
    closed = asyncio.Event()

    @app.get("/endless", allow=anyone)
    async def endless() -> EventStream[int]:
        try:
            yield 1
            await asyncio.Event().wait()
        finally:
            closed.set()

    async with serve(app) as client:
        async with (
            client.stream("GET", "/endless") as response,
            contextlib.aclosing(response.aiter_text()) as pieces,
        ):
            raw = ""
            while "data: 1" not in raw:
                raw += await anext(pieces)
        await closed.wait()


async def test_a_stream_of_bytes_is_closed_when_the_client_leaves(serve: Any, app: App) -> None:
    closed = asyncio.Event()

    @app.get("/endless", allow=anyone)
    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield bytes(1000)
                await asyncio.sleep(0)
        finally:
            closed.set()

    async with serve(app) as client:
        async with (
            client.stream("GET", "/endless") as response,
            contextlib.aclosing(response.aiter_bytes()) as pieces,
        ):
            await anext(pieces)
        await closed.wait()


async def test_who_comes_back_says_what_it_saw_last(serve: Any, app: App) -> None:
    @app.get("/news", allow=anyone)
    async def news(last: LastEventId = None) -> EventStream[str]:
        yield Event(f"after {last}", id="9")

    async with serve(app) as client:
        assert "data: after None" in (await client.get("/news")).text
        again = await client.get("/news", headers={"Last-Event-ID": "8"})
        assert "data: after 8" in again.text


async def test_a_handler_may_return_the_generator_or_refuse(serve: Any, app: App) -> None:
    async def numbers(upto: int) -> AsyncIterator[Event[int] | int]:
        for number in range(upto):
            yield number

    @app.get("/numbers/{upto}", allow=anyone)
    async def start(upto: int) -> EventStream[int]:
        return numbers(upto) if upto else Response(status=204)  # type: ignore[return-value]

    async with serve(app) as client:
        events = events_of((await client.get("/numbers/2")).text)
        assert events == [{"data": "0"}, {"data": "1"}]
        assert (await client.get("/numbers/0")).status_code == 204


async def test_a_stream_starts_after_the_commit_and_holds_no_transaction(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'test.db'}"
    async with opened(url) as database, database.unit() as db:
        db.add(Member(email="ada@example.com", username="ada"))
    app = App("test", settings=Settings(log_level="critical", database_url=url), user=Member)

    @app.post("/essays", allow=anyone)
    async def write(db: Session) -> EventStream[int]:
        db.add(Essay(author_id=1, title="first"))

        async def events() -> AsyncIterator[Event[int] | int]:
            # Another unit sees the row, and may write: SQLite has one writer at a time.
            async with app.database.unit() as other:
                other.add(Essay(author_id=1, title="second"))
            async with app.database.unit() as other:
                yield (await other.execute(select(func.count()).select_from(Essay))).scalar_one()

        return events()

    async with on_own(app) as port, httpx.AsyncClient(trust_env=False) as client:
        response = await client.post(f"http://127.0.0.1:{port}/essays")
    assert events_of(response.text) == [{"data": "2"}]


async def test_the_stream_has_no_deadline_and_knows_its_request(serve: Any, app: App) -> None:
    seen: list[Any] = []

    @app.get("/slow", allow=anyone, deadline=timedelta(milliseconds=50))
    async def slow(request: Request) -> EventStream[str]:
        await asyncio.sleep(0.1)
        seen.append((deadline.remaining(), telemetry.current.get() is request))
        yield "late"

    async with serve(app) as client:
        assert "data: late" in (await client.get("/slow")).text
    assert seen == [(None, True)]


async def test_a_timeout_may_span_several_events(app: App) -> None:
    @app.get("/", allow=anyone)
    async def limited() -> EventStream[str]:
        try:
            async with asyncio.timeout(0.05):
                yield "first"
                await asyncio.Event().wait()
        except TimeoutError:
            yield "too late"

    async with on_own(app) as port, httpx.AsyncClient(trust_env=False) as client:
        response = await client.get(f"http://127.0.0.1:{port}/")
    assert [event["data"] for event in events_of(response.text)] == ["first", "too late"]


async def test_an_error_in_the_middle_is_not_a_clean_end(serve: Any, app: App) -> None:
    @app.get("/", allow=anyone)
    async def breaks() -> EventStream[str]:
        yield "one"
        raise LookupError

    async with serve(app) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("/")


async def test_a_fast_generator_waits_for_a_slow_client(app: App) -> None:
    made = 0
    paused = asyncio.Event()

    @app.get("/", allow=anyone)
    async def flood() -> EventStream[str]:
        nonlocal made
        for _ in range(5000):
            made += 1
            yield "x" * 65536

    async with on_own(app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await reader.readline()
        before = -1
        while made != before:  # until nothing more is made
            before = made
            await asyncio.sleep(0.2)
        paused.set()
        writer.transport.abort()
    assert made < 1000


async def test_structs_are_sent_as_json_lines_and_bytes_as_they_are(serve: Any, app: App) -> None:
    @app.get("/lines", allow=anyone)
    async def lines() -> AsyncIterator[Tick]:
        for number in range(3):
            yield Tick(number, "a\nb")

    @app.get("/bytes", allow=anyone)
    async def data() -> AsyncIterator[bytes]:
        yield b"\x00"
        yield b"\x01"

    @app.get("/text", allow=anyone)
    async def text() -> AsyncIterator[str]:
        yield "ä"
        yield "€"

    @app.get("/csv", allow=anyone)
    async def csv() -> Stream:
        async def rows() -> AsyncIterator[bytes]:
            yield b"a,b\r\n"
            yield b"1,2\r\n"

        headers = {"Content-Disposition": 'attachment; filename="table.csv"'}
        return Stream(rows(), media_type="text/csv", headers=headers)

    async with serve(app) as client:
        response = await client.get("/lines")
        assert response.headers["content-type"] == "application/jsonl"
        decoded = msgspec.json.Decoder(Tick).decode_lines(response.content)
        assert decoded == [Tick(n, "a\nb") for n in range(3)]
        assert (await client.get("/bytes")).content == b"\x00\x01"
        response = await client.get("/text")
        assert (response.text, response.headers["content-type"]) == (
            "ä€",
            "text/plain; charset=utf-8",
        )
        response = await client.get("/csv")
        assert response.text == "a,b\r\n1,2\r\n"
        assert response.headers["content-type"] == "text/csv"
        response = await client.head("/csv")
        assert (response.status_code, response.content) == (200, b"")


def test_a_generator_says_what_it_yields(app: App) -> None:
    @app.get("/", allow=anyone)
    async def silent():
        yield 1

    with pytest.raises(RouteError, match="does not say what"):
        app.compile()


def test_a_generator_is_a_coroutine(app: App) -> None:
    @app.get("/", allow=anyone)
    def plain() -> Iterator[bytes]:
        yield b""

    with pytest.raises(RouteError, match="use `async def`"):
        app.compile()


def test_a_generator_cannot_hold_a_session(app: App) -> None:
    @app.get("/", allow=anyone)
    async def rows(db: Session) -> AsyncIterator[bytes]:
        yield b""

    with pytest.raises(RouteError, match="db belongs to a transaction"):
        app.compile()


async def test_a_large_upload_is_read_with_flat_memory(serve: Any, app: App) -> None:
    size = 64 * 1024 * 1024

    @app.put("/files/{name}", allow=anyone, body_limit_bytes=size, deadline=None)
    async def store(name: str, request: Request) -> dict[str, int]:
        tracemalloc.start()
        try:
            total = 0
            async for part in request.stream():
                total += len(part)
            return {"size": total, "peak": tracemalloc.get_traced_memory()[1]}
        finally:
            tracemalloc.stop()

    async def sent() -> AsyncIterator[bytes]:
        for _ in range(size // 65536):
            yield bytes(65536)

    async with serve(app) as client:
        answer = (await client.put("/files/disk.img", content=sent(), timeout=15)).json()
    assert answer["size"] == size
    # The sender is in the same process, and its pieces are counted too.
    assert answer["peak"] < 8 * 1024 * 1024


async def test_an_upload_above_the_limit_is_refused_while_it_arrives(serve: Any, app: App) -> None:
    read = 0

    @app.put("/", allow=anyone, body_limit_bytes=100_000)
    async def store(request: Request) -> None:
        nonlocal read
        async for part in request.stream():
            read += len(part)

    async def sent() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield bytes(65536)

    async with serve(app) as client:
        # Some servers answer, some just end the connection or read no more.
        with contextlib.suppress(httpx.TransportError):
            response = await client.put("/", content=sent(), timeout=1)
            assert response.status_code == 413
    assert read <= 100_000
