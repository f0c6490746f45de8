"""Lines to a file descriptor, from a thread of its own."""

from __future__ import annotations

import os
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_PERIOD: Final = 0.05
"""Seconds between two looks at the queue; what a `kill -9` may cost."""
_BATCH: Final = 500
"""Records that are rendered in one go: about half a millisecond of the interpreter's lock."""
_IDLE_ROUNDS: Final = 20
QUEUE_LIMIT: Final = 50_000
"""Records that wait at most. A disk that does not keep up loses lines, never memory."""


class Writer:
    """Renders and writes records behind the back of whoever puts them.

    `put` never blocks and never fails. The thread starts with the first record, and sleeps
    without waking up when there is nothing to do.

    Args:
        fd: where lines go; stays open.
        render: a batch of records as bytes.
    """

    def __init__(self, fd: int, render: Callable[[Iterable[Any]], bytes]) -> None:
        self._fd = fd
        self._render = render
        self._queue: deque[Any] = deque(maxlen=QUEUE_LIMIT)
        self.put = self._queue.append
        self._asleep = True
        self._wake = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def nudge(self) -> None:
        """Make sure that what was put will be written; cheap unless the thread sleeps."""
        if self._asleep:
            self._start()

    def _start(self) -> None:
        with self._starting:
            self._asleep = False
            if self._thread is None and not self._stopping:
                self._thread = threading.Thread(
                    target=self._run, name="mainspring-log", daemon=True
                )
                self._thread.start()
        self._wake.set()

    def close(self) -> None:
        """Write what is left and end the thread."""
        with self._starting:
            thread, self._thread = self._thread, None
            self._stopping = True
        self._wake.set()
        if thread is not None:
            thread.join(timeout=5)
        self._drain()
        self._stopping = False
        self._asleep = True

    def _run(self) -> None:
        idle = 0
        while not self._stopping:
            if self._drain():
                idle = 0
            else:
                idle += 1
            if idle > _IDLE_ROUNDS:
                self._asleep = True
                # A record put between the last look and the line above nudged nobody.
                if not self._queue:
                    self._wake.wait()
                self._wake.clear()
                idle = 0
            else:
                self._wake.wait(_PERIOD)
                self._wake.clear()

    def _drain(self) -> bool:
        queue = self._queue
        found = bool(queue)
        while queue:
            batch = [queue.popleft() for _ in range(min(_BATCH, len(queue)))]
            self._write(self._render(batch))
        return found

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError:
            # A full disk or a closed pipe: there is nobody left to tell, and the
            # application must go on.
            return
