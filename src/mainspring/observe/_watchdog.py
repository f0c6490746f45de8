"""Notices an event loop that stands still, and says where."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING, Self

from mainspring import telemetry

if TYPE_CHECKING:
    from datetime import timedelta
    from types import FrameType


class Watchdog:
    """Reports a blocked loop once per blockage, with the stack of what blocks it.

    A timer on the loop notes the time; a thread looks whether the note is old. The thread
    sees the loop's stack while it is still blocked, which no timer on the loop can.

    Args:
        after: how long the loop may stand still.
    """

    def __init__(self, *, after: timedelta) -> None:
        self._after = after.total_seconds()
        self._period = self._after / 4
        self._beaten = time.monotonic()
        self._reported = False
        self._closing = threading.Event()

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._beat()
        self._thread = threading.Thread(target=self._watch, name="mainspring-watchdog", daemon=True)
        self._thread.start()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self._closing.set()
        self._timer.cancel()

    def _beat(self) -> None:
        self._beaten = time.monotonic()
        self._reported = False
        self._timer = self._loop.call_later(self._period, self._beat)

    def _watch(self) -> None:
        while not self._closing.wait(self._period):
            late = time.monotonic() - self._beaten
            if late > self._after and not self._reported:
                self._reported = True
                frame = sys._current_frames().get(self._loop_thread)  # noqa: SLF001  # the only way to another thread's stack
                self._report(late, frame)

    def _report(self, late: float, frame: FrameType | None) -> None:
        stack = "".join(traceback.format_stack(frame)) if frame is not None else ""
        telemetry.emit("loop.blocked", level="warning", seconds=round(late, 3), exception=stack)
