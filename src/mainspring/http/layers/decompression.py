"""Compressed request bodies, on routes that take them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from mainspring.http._body import BodyTooLarge
from mainspring.http._compression import Decompressor, available, decompressor
from mainspring.http._problem import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mainspring.http._body import Body
    from mainspring.http._pipeline import Handler, Layer
    from mainspring.http._request import Request
    from mainspring.http._response import Response

_OVERHEAD_BYTES: Final = 1024


class DecompressedBody:
    """A body as it was before it was compressed.

    How much comes out is bounded by whoever reads it. How much goes in is bounded here,
    because a coding may hold any number of bytes that stand for nothing.
    """

    def __init__(self, body: Body, undo: Decompressor, *, limit_bytes: int) -> None:
        self._body = body
        self._undo = undo
        self._limit = limit_bytes
        self._left = limit_bytes + _OVERHEAD_BYTES
        self._pieces: Iterator[bytes] = iter(())
        self._ended = False

    def ready(self) -> bytes | None:
        return None

    @property
    def declared_bytes(self) -> int | None:
        return None

    async def chunk(self) -> bytes:
        while True:
            piece = next(self._pieces, b"")
            if piece:
                # A piece takes a fraction of a millisecond; many in a row must not hold the loop.
                await asyncio.sleep(0)
                return piece
            if self._ended or not await self._more():
                return b""

    async def _more(self) -> bool:
        data = await self._body.chunk()
        if not data:
            self._ended = True
            self._undo.check_end()
            return False
        self._left -= len(data)
        if self._left < 0:
            raise BodyTooLarge(self._limit)
        self._pieces = self._undo.pieces(data)
        return True


def decompressing(inner: Handler) -> Handler:
    """Take bodies with a `Content-Encoding`; the route's limit is of the bytes that come out."""

    async def handle(request: Request) -> Response:
        coding = request.raw_headers.get(b"content-encoding", b"").decode("latin-1").lower()
        if coding not in {"", "identity"}:
            undo = decompressor(coding.strip())
            if undo is None:
                raise Problem(
                    415,
                    f"a body with Content-Encoding {coding!r} is not taken here",
                    headers={"accept-encoding": ", ".join(available())},
                )
            request.body = DecompressedBody(
                request.body, undo, limit_bytes=request.route.body_limit_bytes
            )
            request.raw_headers = {
                name: value
                for name, value in request.raw_headers.items()
                if name not in {b"content-encoding", b"content-length"}
            }
        return await inner(request)

    return handle


if TYPE_CHECKING:
    _fits: Layer = decompressing
