"""Answers are compressed for who asks, where it pays and where it tells nobody a secret."""

import asyncio
import contextlib
import gzip
import os
import zlib

import brotli
import pytest
import zstandard
from msgspec import Struct

from mainspring.app import App
from mainspring.auth import anyone
from mainspring.http import Html, NotFound, Redirect, Response
from mainspring.http._compression import chosen
from mainspring.settings import Settings

UNDO = {
    "gzip": gzip.decompress,
    "br": brotli.decompress,
    "zstd": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
}
LONG = "the same words again and again, " * 40


class Note(Struct):
    text: str


@pytest.fixture
def peer(app, serve):
    @app.get("/note/{count}", allow=anyone)
    async def note(count: int) -> Note:
        return Note("x" * count)

    @app.get("/waits/{count}", allow=anyone)
    async def waits(count: int) -> Note:
        await asyncio.sleep(0)
        return Note("x" * count)

    @app.get("/page", allow=anyone)
    async def page() -> Html:
        return Html(LONG)

    @app.get("/random", allow=anyone)
    async def noise() -> bytes:
        return os.urandom(4096)

    @app.get("/answer/{header}/{value}", allow=anyone)
    async def answer(header: str, value: str) -> Response:
        return Response(LONG, media_type="text/plain", headers={header: value})

    @app.get("/missing", allow=anyone)
    async def missing() -> None:
        raise NotFound(LONG)

    return serve(app)


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
@pytest.mark.parametrize("path", ["/note", "/waits"])
@pytest.mark.parametrize("count", [1500, 40_000, 1_000_000])
async def test_an_answer_is_compressed_in_the_coding_that_is_asked_for(
    peer, coding, path, count
) -> None:
    served = await peer
    sent = await served.ask("GET", f"{path}/{count}", headers={"Accept-Encoding": coding})
    assert sent.header("content-encoding") == coding
    assert UNDO[coding](sent.body) == b'{"text":"%b"}' % (b"x" * count)
    assert len(sent.body) < count / 10
    assert sent.header("vary") == "accept, accept-encoding"


async def test_who_does_not_ask_gets_the_plain_answer_and_caches_are_told(peer) -> None:
    served = await peer
    for headers in ({}, {"Accept-Encoding": "identity"}, {"Accept-Encoding": "gzip;q=0, br;q=0"}):
        sent = await served.ask("GET", "/page", headers=headers)
        assert sent.header("content-encoding") is None
        assert sent.body == LONG.encode()
        assert sent.header("vary") == "accept-encoding"


@pytest.mark.parametrize(
    "path",
    [
        "/note/900",  # small
        "/random",  # not a type that shrinks
        "/answer/content-encoding/deflate",
        "/answer/cache-control/public,%20no-transform",
        "/answer/content-digest/sha-256=:abc:",
    ],
)
async def test_what_would_not_gain_or_must_not_change_is_left_alone(peer, path) -> None:
    served = await peer
    sent = await served.ask("GET", path, headers={"Accept-Encoding": "gzip, br, zstd"})
    assert sent.header("content-encoding") in {None, "deflate"}


async def test_errors_are_compressed_like_other_answers(peer) -> None:
    served = await peer
    sent = await served.ask("GET", "/missing", headers={"Accept-Encoding": "gzip"})
    assert sent.status == 404
    assert LONG.encode() in gzip.decompress(sent.body)


async def test_a_strong_validator_becomes_weak(peer) -> None:
    served = await peer
    path = "/answer/etag/%22abc%22"
    plain = await served.ask("GET", path)
    coded = await served.ask("GET", path, headers={"Accept-Encoding": "gzip"})
    assert (plain.header("etag"), coded.header("etag")) == ('"abc"', 'W/"abc"')


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
async def test_a_stream_is_compressed_piece_by_piece_as_it_is_made(app, serve, coding) -> None:
    first_was_read = asyncio.Event()
    closed = asyncio.Event()

    async def lines():
        try:
            yield b"first line\n" * 5
            await first_was_read.wait()
            yield b"last line\n" * 50_000
        finally:
            closed.set()

    @app.get("/lines", allow=anyone)
    async def stream() -> Response:
        return Response(lines(), media_type="text/plain")

    peer = await serve(app)
    undo = {
        "gzip": zlib.decompressobj(31).decompress,
        "br": brotli.Decompressor().process,
        "zstd": zstandard.ZstdDecompressor().decompressobj().decompress,
    }[coding]
    raw = f"GET /lines HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: {coding}\r\n\r\n"
    plain = b""
    async with contextlib.aclosing(peer.pieces(raw.encode())) as pieces:
        async for piece in pieces:
            plain += undo(piece)
            if plain == b"first line\n" * 5:
                # It can be read before there is any more of it.
                first_was_read.set()
    assert plain == b"first line\n" * 5 + b"last line\n" * 50_000
    await closed.wait()


async def test_an_event_stream_is_not_compressed(app, serve) -> None:
    async def events():
        yield b"data: 1\n\n"

    @app.get("/events", allow=anyone)
    async def stream() -> Response:
        return Response(events(), media_type="text/event-stream")

    peer = await serve(app)
    sent = await peer.ask("GET", "/events", headers={"Accept-Encoding": "gzip"})
    assert sent.body == b"data: 1\n\n"


@pytest.mark.parametrize(
    ("headers", "compressed"),
    [
        ({}, True),
        ({"Cookie": "a=b", "Sec-Fetch-Site": "same-origin"}, True),
        ({"Cookie": "a=b", "Sec-Fetch-Site": "none"}, True),
        ({"Cookie": "a=b", "Sec-Fetch-Site": "cross-site"}, False),
        ({"Cookie": "a=b", "Sec-Fetch-Site": "same-site"}, False),
        ({"Authorization": "Basic abc", "Sec-Fetch-Site": "cross-site"}, False),
        ({"Authorization": "Bearer abc", "Sec-Fetch-Site": "cross-site"}, True),
        ({"Sec-Fetch-Site": "cross-site"}, True),
        ({"Cookie": "a=b"}, True),
        ({"Cookie": "a=b", "X-Forwarded-Proto": "https"}, False),
    ],
)
async def test_what_another_site_caused_with_the_visitors_credentials_is_not_compressed(
    peer, headers, compressed
) -> None:
    served = await peer
    sent = await served.ask("GET", "/page", headers={"Accept-Encoding": "gzip", **headers})
    assert (sent.header("content-encoding") == "gzip") is compressed


async def test_a_head_and_an_answer_without_content_have_no_body(app, serve) -> None:
    @app.get("/page", allow=anyone)
    async def page() -> Html:
        return Html(LONG)

    @app.get("/elsewhere", allow=anyone)
    async def elsewhere() -> Response:
        return Redirect("/page")

    peer = await serve(app)
    head = await peer.ask("HEAD", "/page", headers={"Accept-Encoding": "gzip"})
    assert (head.status, head.body, head.header("content-encoding")) == (200, b"", "gzip")
    moved = await peer.ask("GET", "/elsewhere", headers={"Accept-Encoding": "gzip"})
    assert moved.header("content-encoding") is None


async def test_it_can_be_left_to_a_proxy(serve) -> None:
    app = App("test", settings=Settings(compression=False, log_level="error"))

    @app.get("/page", allow=anyone)
    async def page() -> Html:
        return Html(LONG)

    peer = await serve(app)
    assert (
        await peer.ask("GET", "/page", headers={"Accept-Encoding": "gzip"})
    ).body == LONG.encode()


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        (b"gzip, deflate, br, zstd", "zstd"),
        (b"gzip, br;q=0.9", "gzip"),
        (b"GZIP", "gzip"),
        (b"*", "zstd"),
        (b"*;q=0.5, gzip;q=0.6", "gzip"),
        (b"*;q=0", None),
        (b"", None),
        (b"deflate", None),
        (b"identity, gzip;q=0.5", None),
        (b"gzip;q=2", "gzip"),
        (b"gzip;q=x", None),
        (b"gzip;q=-1", None),
        (b"gzip," * 100, None),
        (b"\xff;q=\xff", None),
    ],
)
def test_the_coding_is_what_the_client_likes_best(accept: bytes, coding: str | None) -> None:
    assert chosen(accept, ("zstd", "br", "gzip")) == coding
