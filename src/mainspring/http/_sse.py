"""Server-sent events: `-> EventStream[T]`.

Source: WHATWG HTML, section 9.2 (Server-sent events).
"""

from __future__ import annotations

import asyncio
import contextvars
import re
from collections import deque
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated, Any, Final, Generic, TypeVar

import msgspec

from mainspring import deadline
from mainspring.errors import MainspringError
from mainspring.http._markers import Header

if TYPE_CHECKING:
    from datetime import timedelta
    from typing import Self

T = TypeVar("T")

KEEP_ALIVE_SECONDS: Final = 15.0
"""The specification advises a comment every 15 s, since proxies drop what is silent."""
_AHEAD: Final = 16
_COMMENT: Final = b":\n\n"
# The three ends of a line, and no other: `str.splitlines` knows more of them.
_LINE_END: Final = re.compile("\r\n|\r|\n")
_to_json: Final = msgspec.json.Encoder().encode


class UnsafeEvent(MainspringError):
    """A part of a server-sent event would break out of its line."""

    code = "http.unsafe-event"


class Event(Generic[T]):
    """One server-sent event.

    Args:
        data: text as it is, line by line; any other value as JSON.
        event: the name under which a page listens; `message` if there is none.
        id: what the browser sends as `Last-Event-ID` when it comes back.
        retry: how long it shall wait before it does.
    """

    __slots__ = ("data", "event", "id", "retry")

    def __init__(
        self,
        data: T,
        *,
        event: str = "",
        id: str | None = None,  # noqa: A002  # the field's own name
        retry: timedelta | None = None,
    ) -> None:
        self.data = data
        self.event = event
        self.id = id
        self.retry = retry


EventStream = AsyncIterator[Event[T] | T]
"""What a handler returns, or is, that sends events: an asynchronous generator of them."""

LastEventId = Annotated[str | None, Header("last-event-id")]
"""The `id` of the last event that a client saw, when it comes back; None the first time."""


def frame(item: object) -> bytes:
    """An event, or a value that is the data of one, as it goes on the wire.

    Raises:
        UnsafeEvent: name or id would break out of their line.
    """
    if not isinstance(item, Event):
        return _data(item) + b"\n"
    lines = [_field("event", item.event)] if item.event else []
    if item.id is not None:
        if "\0" in item.id:
            raise UnsafeEvent("the id of an event has a NUL, which makes browsers ignore it")
        lines.append(_field("id", item.id))
    if item.retry is not None:
        lines.append(b"retry: %d\n" % round(item.retry.total_seconds() * 1000))
    return b"".join([*lines, _data(item.data), b"\n"])


def _field(name: str, value: str) -> bytes:
    if "\n" in value or "\r" in value:
        raise UnsafeEvent(f"the {name} of an event has a line break: {value!r}")
    return f"{name}: {value}\n".encode()


def _data(value: object) -> bytes:
    if not isinstance(value, str):
        # JSON has its line breaks escaped.
        return b"data: %b\n" % _to_json(value)
    return "".join(f"data: {line}\n" for line in _LINE_END.split(value)).encode()


class EventBody:
    """The body of an event stream.

    The handler's generator runs in one task of its own from its beginning to its end, so that
    waiting for it can be interrupted by a comment, and is closed when the client has left.

    Args:
        source: what the handler returned.
    """

    def __init__(self, source: AsyncIterator[Any]) -> None:
        self._source = source
        # Logs carry the request's id; the request's budget ended with its first byte.
        self._context = contextvars.copy_context()
        self._context.run(deadline.lift)
        self._pump: asyncio.Task[None] | None = None
        self._ready: deque[bytes] = deque()
        self._waiting: asyncio.Future[None] | None = None
        self._room = asyncio.Event()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._pump is None:
            loop = asyncio.get_running_loop()
            self._pump = loop.create_task(self._run(), context=self._context)
            # Something at once, so that nobody on the way holds back the head.
            return _COMMENT
        if not self._ready and not self._pump.done():
            await self._wait()
        if self._ready:
            pieces = b"".join(self._ready)
            self._ready.clear()
            self._room.set()
            return pieces
        if not self._pump.done():
            return _COMMENT
        self._pump.result()
        raise StopAsyncIteration

    async def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        self._waiting = loop.create_future()
        timer = loop.call_later(KEEP_ALIVE_SECONDS, self._wake)
        try:
            await self._waiting
        finally:
            timer.cancel()
            self._waiting = None

    def _wake(self, _pump: object = None) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def _run(self) -> None:
        assert self._pump is not None
        self._pump.add_done_callback(self._wake)
        try:
            async for item in self._source:
                self._ready.append(frame(item))
                self._wake()
                while len(self._ready) >= _AHEAD:
                    self._room.clear()
                    await self._room.wait()
        finally:
            await close(self._source)

    async def aclose(self) -> None:
        """End the handler's generator, and wait until it has ended."""
        if self._pump is None:
            await close(self._source)
            return
        self._pump.cancel()
        await asyncio.gather(self._pump, return_exceptions=True)


async def close(source: AsyncIterator[Any]) -> None:
    """Close an asynchronous iterator, if it can be closed."""
    aclose = getattr(source, "aclose", None)
    if aclose is not None:
        await aclose()
