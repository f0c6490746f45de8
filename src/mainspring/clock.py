"""Time as a part that can be replaced: code that waits or compares takes a `Clock`."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import timedelta


class Clock(Protocol):
    """Now, and the passing of time.

    Promises: `now` is aware and in UTC; `monotonic` never goes back and counts seconds;
    `sleep` returns after at least the given span of `monotonic` time.
    """

    def now(self) -> datetime: ...
    def monotonic(self) -> float: ...
    async def sleep(self, span: timedelta) -> None: ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, span: timedelta) -> None:
        until = time.monotonic() + span.total_seconds()
        await asyncio.sleep(span.total_seconds())
        # uvloop rounds to whole milliseconds, downwards too.
        while (left := until - time.monotonic()) > 0:  # noqa: ASYNC110  # time is what it waits for
            await asyncio.sleep(left)


if TYPE_CHECKING:
    _fits: type[Clock] = SystemClock
