"""The bytes of a file as an answer: conditions, parts, and pieces that are read on threads."""

from __future__ import annotations

import asyncio
import os
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mainspring.errors import MainspringError
from mainspring.http._conditional import Validators, outcome, range_is_current
from mainspring.http._problem import Problem
from mainspring.http._ranges import Part, Unsatisfiable, multipart_heads, parse_range
from mainspring.http._response import Encoded, Header, Response, header

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from mainspring.http._request import Request

PIECE_BYTES: Final = 256 * 1024
_NOT_OF_THE_BODY: Final = frozenset({b"content-type", b"content-encoding", b"accept-ranges"})


class ChangedFile(MainspringError):
    """A file is not what it was when its answer began, so the answer was broken off."""

    code = "http.changed-file"


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of one representation.

    Attributes:
        validators: of these bytes.
        media_type: value of `Content-Type`.
        size: in bytes.
        headers: of an answer with all of it, constant.
        held: the bytes, if they are in memory.
        path: where they are otherwise.
        stamp: modification time in nanoseconds and size, by which a change is noticed.
    """

    validators: Validators
    media_type: str
    size: int
    headers: tuple[Header, ...]
    held: bytes | None = None
    path: Path | None = None
    stamp: tuple[int, int] = (0, 0)


def answer(request: Request, content: Content) -> Response:
    """What a GET or HEAD for the content gets."""
    status = outcome(request, content.validators)
    if status == 304:
        return Encoded(b"", 304, tuple(h for h in content.headers if h[0] not in _NOT_OF_THE_BODY))
    if status == 412:
        raise Problem(412, "it has changed")
    sent = request.raw_headers.get(b"range")
    if (
        sent is not None
        and request.method == "GET"
        and range_is_current(request, content.validators)
    ):
        try:
            parts = parse_range(sent, content.size)
        except Unsatisfiable:
            raise Problem(
                416, "there is no such part", headers={"content-range": f"bytes */{content.size}"}
            ) from None
        if parts is not None:
            return _partial(content, parts)
    return whole(content)


def whole(content: Content) -> Response:
    """An answer with all of the content."""
    if content.held is not None:
        return Encoded(content.held, 200, content.headers)
    return _streamed(content, [(0, content.size)], content.headers, content.size, 200)


def _partial(content: Content, parts: list[Part]) -> Response:
    if len(parts) == 1:
        [(start, stop)] = parts
        span = header("content-range", f"bytes {start}-{stop - 1}/{content.size}")
        headers = (*content.headers, span)
        if content.held is not None:
            return Encoded(content.held[start:stop], 206, headers)
        return _streamed(content, parts, headers, stop - start, 206)
    boundary = secrets.token_hex(12)
    heads, tail = multipart_heads(
        parts, size=content.size, media_type=content.media_type, boundary=boundary
    )
    headers = (
        *(pair for pair in content.headers if pair[0] != b"content-type"),
        header("content-type", f"multipart/byteranges; boundary={boundary}"),
    )
    size = sum(map(len, heads)) + sum(stop - start for start, stop in parts) + len(tail)
    return _streamed(content, parts, headers, size, 206, heads=heads, tail=tail)


def _streamed(  # the parts of a response
    content: Content,
    parts: Sequence[Part],
    headers: tuple[Header, ...],
    size: int,
    status: int,
    *,
    heads: Sequence[bytes] = (b"",),
    tail: bytes = b"",
) -> Response:
    response = Response(_pieces(content, parts, heads, tail), status=status)
    response.headers = [*headers, (b"content-length", b"%d" % size)]
    return response


async def _pieces(
    content: Content, parts: Sequence[Part], heads: Sequence[bytes], tail: bytes
) -> AsyncIterator[bytes]:
    for head, (start, stop) in zip(heads, parts, strict=True):
        if head:
            yield head
        for at in range(start, stop, PIECE_BYTES):
            upto = min(stop, at + PIECE_BYTES)
            if content.held is not None:
                yield content.held[at:upto]
            else:
                yield await asyncio.to_thread(_read, content, at, upto)
    if tail:
        yield tail


def _read(content: Content, start: int, stop: int) -> bytes:
    """Bytes of the file. It is opened for each piece, so that nothing is left open."""
    assert content.path is not None
    with content.path.open("rb", buffering=0) as file:
        found = os.fstat(file.fileno())
        data = os.pread(file.fileno(), stop - start, start)
    if (found.st_mtime_ns, found.st_size) != content.stamp or len(data) < stop - start:
        raise ChangedFile(
            f"{content.path} changed while it was sent",
            fix="put a new version beside the old one and rename it, and restart the server",
        )
    return data
