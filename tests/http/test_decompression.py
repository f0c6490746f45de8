"""Compressed bodies are taken where a route says so, and bounded by what comes out of them."""

import gzip
import zlib
from typing import Annotated

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from mainspring.auth import anyone
from mainspring.http import BadRequest, Form, Request
from mainspring.http._compression import PIECE_BYTES, decompressor

MAKE = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.ZstdCompressor(level=3).compress,
}
LIMIT = 100_000


class Note(Struct):
    text: str


@pytest.fixture
def peer(app, serve):
    @app.post("/notes", allow=anyone, decompress=True, body_limit_bytes=LIMIT)
    async def write(note: Note) -> int:
        return len(note.text)

    @app.post("/forms", allow=anyone, decompress=True, body_limit_bytes=LIMIT)
    async def form(note: Annotated[Note, Form()]) -> int:
        return len(note.text)

    @app.post("/raw", allow=anyone, decompress=True, body_limit_bytes=LIMIT)
    async def raw(request: Request) -> int:
        return sum([len(part) async for part in request.stream()])

    @app.post("/plain", allow=anyone)
    async def plain(note: Note) -> int:
        return len(note.text)

    return serve(app)


def bomb(coding: str, size: int) -> bytes:
    return MAKE[coding](b'{"text":"' + b" " * size + b'"}')


@pytest.mark.parametrize("coding", MAKE)
async def test_a_compressed_body_is_read_as_if_it_were_not(peer, coding) -> None:
    served = await peer
    headers = {"Content-Encoding": coding}
    body = MAKE[coding](b'{"text":"' + b"x" * 90_000 + b'"}')
    answer = await served.ask("POST", "/notes", kind="application/json", body=body, headers=headers)
    assert answer.json() == 90_000
    form = MAKE[coding](b"text=abc")
    answer = await served.ask(
        "POST", "/forms", kind="application/x-www-form-urlencoded", body=form, headers=headers
    )
    assert answer.json() == 3


@pytest.mark.parametrize("coding", MAKE)
@pytest.mark.parametrize("path", ["/notes", "/raw"])
async def test_a_bomb_is_too_large_by_what_comes_out_of_it(peer, coding, path) -> None:
    served = await peer
    answer = await served.ask(
        "POST", path, kind="application/json", body=bomb(coding, 20_000_000),
        headers={"Content-Encoding": coding},
    )  # fmt: skip
    assert answer.status == 413


@pytest.mark.parametrize("coding", MAKE)
async def test_a_body_that_is_cut_short_or_goes_on_is_refused(peer, coding) -> None:
    served = await peer
    whole = MAKE[coding](b'{"text":"x"}')
    for body in (whole[:-2], whole + b"{}", whole + whole, b"", b"nonsense", b"{}"):
        answer = await served.ask(
            "POST", "/notes", kind="application/json", body=body,
            headers={"Content-Encoding": coding},
        )  # fmt: skip
        assert answer.status == 400, body


@pytest.mark.parametrize("coding", ["gzip, gzip", "compress", "x" * 4000, "br, identity"])
async def test_other_codings_are_named_as_not_taken(peer, coding) -> None:
    served = await peer
    answer = await served.ask(
        "POST", "/notes", kind="application/json", body=b"{}", headers={"Content-Encoding": coding}
    )
    assert answer.status == 415
    assert answer.header("accept-encoding") == "zstd, br, gzip"


async def test_no_compressed_body_is_taken_where_it_was_not_asked_for(peer) -> None:
    served = await peer
    answer = await served.ask(
        "POST", "/plain", kind="application/json", body=bomb("gzip", 100),
        headers={"Content-Encoding": "gzip"},
    )  # fmt: skip
    assert answer.status == 415
    assert answer.header("accept-encoding") == "identity"


@pytest.mark.parametrize("coding", MAKE)
@given(data=st.binary(max_size=2000), count=st.integers(0, 400), cut=st.integers(1, 5000))
def test_what_was_compressed_comes_out_in_bounded_pieces(coding, data, count, cut) -> None:
    plain = data * count
    compressed = MAKE[coding](plain)
    undo = decompressor(coding)
    out = []
    for at in range(0, len(compressed), cut):
        out += list(undo.pieces(compressed[at : at + cut]))
    undo.check_end()
    assert b"".join(out) == plain
    bound = 4 * 1024 * 1024 if coding == "zstd" else PIECE_BYTES
    # Brotli counts what it gives in blocks of its own.
    assert all(len(piece) <= 2 * bound for piece in out)


@pytest.mark.parametrize("coding", MAKE)
@given(st.binary(max_size=300))
def test_no_bytes_do_more_than_be_refused(coding, data) -> None:
    undo = decompressor(coding)
    try:
        for _ in undo.pieces(data):
            pass
        undo.check_end()
    except BadRequest:
        pass
