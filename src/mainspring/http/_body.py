"""The body of a request while it arrives: the seam between a server and whoever reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from mainspring.http._problem import Problem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Body(Protocol):
    """Bytes that a client is sending.

    Promises: `ready` never waits; `chunk` returns what has arrived, at most about 64 KiB
    more is ever held, and the sender is slowed down meanwhile; a client that goes away or
    breaks the framing makes `chunk` raise, never return short.
    """

    @property
    def declared_bytes(self) -> int | None:
        """How long it will be, if the client has said so."""
        ...

    def ready(self) -> bytes | None:
        """All of it if all of it is here and none was taken, else None."""
        ...

    async def chunk(self) -> bytes:
        """The next piece; empty at the end, and again after it."""
        ...


class WholeBody:
    """A body that is all here."""

    __slots__ = ("_data",)

    def __init__(self, data: bytes = b"") -> None:
        self._data = data

    @property
    def declared_bytes(self) -> int | None:
        return len(self._data)

    def ready(self) -> bytes | None:
        return self._data

    async def chunk(self) -> bytes:
        data, self._data = self._data, b""
        return data


class TakenBody:
    """A body of which somebody takes one piece after the other, so that it cannot be read again."""

    __slots__ = ("_body",)

    def __init__(self, body: Body) -> None:
        self._body = body

    @property
    def declared_bytes(self) -> int | None:
        return self._body.declared_bytes

    def ready(self) -> bytes | None:
        return None

    async def chunk(self) -> bytes:
        return await self._body.chunk()


class BodyTooLarge(Problem):
    """The body has more bytes than the route takes."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(413, f"the body is larger than {limit_bytes} bytes", code="body.too-large")


async def read_all(body: Body, *, limit_bytes: int) -> bytes:
    """The whole body.

    Raises:
        BodyTooLarge: as soon as the limit is passed; what came before is dropped.
    """
    data = body.ready()
    if data is None:
        parts = [part async for part in read_parts(body, limit_bytes=limit_bytes)]
        return b"".join(parts)
    if len(data) > limit_bytes:
        raise BodyTooLarge(limit_bytes)
    return data


async def read_parts(body: Body, *, limit_bytes: int) -> AsyncIterator[bytes]:
    """The body piece by piece, with the same bound on the sum."""
    # What has said that it is too large is refused before it is sent (RFC 9110, 10.1.1).
    if (body.declared_bytes or 0) > limit_bytes:
        raise BodyTooLarge(limit_bytes)
    size = 0
    while part := await body.chunk():
        size += len(part)
        if size > limit_bytes:
            raise BodyTooLarge(limit_bytes)
        yield part
