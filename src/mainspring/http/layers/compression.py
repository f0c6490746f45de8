"""Compressed answers, for clients that ask for them.

Requests without `Accept-Encoding` and answers below a kibibyte cost a comparison. A body that
would hold the loop is compressed on a thread, and sent while the rest of it is compressed.

BREACH (CVE-2013-3587) reads a secret out of a page by making the victim's browser ask for it
many times, with guesses in the request, and watching the compressed size. It needs credentials
that the browser adds by itself and requests that another site causes. So an answer to such a
request is not compressed, and every other one is; what that costs is one uncompressed page
for a signed-in visitor who follows a link from elsewhere.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple

from mainspring.http._compression import Compressor, available, chosen, compressor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from mainspring.http._request import Request
    from mainspring.http._response import Header, Response

MINIMUM_BYTES: Final = 1024
"""Below this a packet is saved at best."""
_IN_PLACE_BYTES: Final = 32 * 1024
"""0.1 to 0.3 ms, which is about what a thread and back cost."""
_SLICE_BYTES: Final = 128 * 1024
_UNTOUCHED_STATUS: Final = frozenset({204, 206, 304})
_OWN_SITE: Final = frozenset({b"same-origin", b"none"})
_TYPES: Final = frozenset({
    b"application/javascript", b"application/json", b"application/jsonl",
    b"application/manifest+json", b"application/msgpack", b"application/wasm",
    b"application/x-ndjson", b"application/xml", b"font/otf", b"font/ttf", b"image/bmp",
    b"image/svg+xml",
})  # fmt: skip
_KEPT_PLANS: Final = 128


class Plan(NamedTuple):
    """What becomes of the headers of a compressible answer.

    Attributes:
        plain: with `Vary`, for whoever gets it as it is.
        coded: coding to headers, filled when a coding is first used.
    """

    plain: tuple[Header, ...]
    coded: dict[str, tuple[Header, ...]]


class Compression:
    """Compresses answers in the coding that a client prefers."""

    def __init__(self) -> None:
        self._offered = available()
        self._plans: dict[tuple[Header, ...], Plan | None] = {}

    def apply(self, request: Request, response: Response) -> None:
        """Compress the response if its request, its headers and its size say so."""
        if response.status in _UNTOUCHED_STATUS:
            return
        plan = self._plan(tuple(response.headers))
        if plan is None:
            return
        response.headers = plan.plain
        accept = request.raw_headers.get(b"accept-encoding")
        if accept is None:
            return
        coding = chosen(accept, self._offered)
        if coding is None or told_by_another_site(request):
            return
        headers = plan.coded.get(coding)
        if headers is None:
            headers = plan.coded[coding] = tuple(_coded(plan.plain, coding))
        response.headers = headers
        response.body = _body(response.body, compressor(coding))

    def _plan(self, headers: tuple[Header, ...]) -> Plan | None:
        if headers in self._plans:
            return self._plans[headers]
        plan = Plan(tuple(_varied(headers)), {}) if _compressible(headers) else None
        if len(self._plans) < _KEPT_PLANS:
            self._plans[headers] = plan
        return plan


def told_by_another_site(request: Request) -> bool:
    """Whether a browser may have added credentials to a request that another site caused."""
    headers = request.raw_headers
    automatic = b"cookie" in headers or headers.get(b"authorization", b"")[:6].lower() == b"basic "
    if not automatic:
        return False
    site = headers.get(b"sec-fetch-site")
    # Browsers say it on secure connections only; on others whoever listens reads it all anyway.
    return request.scheme == "https" if site is None else site not in _OWN_SITE


def _compressible(headers: Iterable[Header]) -> bool:
    media_type = b""
    for name, value in headers:
        if name == b"content-type":
            media_type = value
        elif name in {b"content-encoding", b"content-range", b"content-digest", b"repr-digest"} or (
            name == b"cache-control" and b"no-transform" in value.lower()
        ):
            return False
    return compressible_type(media_type)


def compressible_type(content_type: bytes) -> bool:
    """Whether what has this `Content-Type` shrinks enough to be compressed."""
    media_type = content_type.partition(b";")[0].strip().lower()
    # Nothing is compressed in an event stream: its state would cost more memory than the
    # connection itself, for messages that are small.
    if media_type.startswith(b"text/"):
        return media_type != b"text/event-stream"
    return media_type in _TYPES or media_type.endswith((b"+json", b"+xml"))


def _varied(headers: Sequence[Header]) -> list[Header]:
    names = b", ".join(value for name, value in headers if name == b"vary")
    if b"accept-encoding" in names.lower() or names == b"*":
        return list(headers)
    rest = [pair for pair in headers if pair[0] != b"vary"]
    return [*rest, (b"vary", names + b", accept-encoding" if names else b"accept-encoding")]


def _coded(headers: Sequence[Header], coding: str) -> list[Header]:
    """The headers of the same thing in another form of bytes."""
    made: list[Header] = []
    for name, value in headers:
        if name == b"etag" and not value.startswith(b"W/"):
            # RFC 9110, section 8.8.3: a strong one promises the very bytes.
            made.append((name, b"W/" + value))
        elif name not in {b"content-length", b"accept-ranges"}:
            made.append((name, value))
    return [*made, (b"content-encoding", coding.encode())]


def _body(body: bytes | AsyncIterator[bytes], into: Compressor) -> bytes | AsyncIterator[bytes]:
    if not isinstance(body, bytes):
        return _stream(body, into)
    if len(body) <= _IN_PLACE_BYTES:
        return into.piece(body, flush=False) + into.end()
    return _slices(body, into)


async def _slices(body: bytes, into: Compressor) -> AsyncIterator[bytes]:
    for at in range(0, len(body), _SLICE_BYTES):
        part = body[at : at + _SLICE_BYTES]
        made = await asyncio.to_thread(into.piece, part, flush=False)
        if made:
            yield made
    yield into.end()


async def _stream(parts: AsyncIterator[bytes], into: Compressor) -> AsyncIterator[bytes]:
    """The parts compressed, each so that the client can read it when it arrives."""
    try:
        async for part in parts:
            if len(part) <= _IN_PLACE_BYTES:
                made = into.piece(part, flush=True)
            else:
                made = await asyncio.to_thread(into.piece, part, flush=True)
            if made:
                yield made
        yield into.end()
    finally:
        close = getattr(parts, "aclose", None)
        if close is not None:
            await close()
