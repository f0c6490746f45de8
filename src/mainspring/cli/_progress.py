"""How far a long command is: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sized
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mainspring.cli._terminal import Terminal

T = TypeVar("T")

_WIDTH: Final = 28
_REDRAW_SECONDS: Final = 0.1
_LINE_SECONDS: Final = 5.0


class Bars:
    """Progress of one stretch of work after another; `app.Progress` is what a user sees of it.

    Args:
        terminal: whose error stream is written to, so that what a command answers stays clean.
    """

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._live = terminal.err.isatty()

    def track(self, items: Iterable[T], title: str, *, total: int | None = None) -> Iterator[T]:
        """The items, one after the other, while the progress through them is shown.

        Args:
            items: what is worked through.
            title: what they are, such as `articles`.
            total: how many; what `len` says by default, and unknown if that says nothing.
        """
        count = len(items) if total is None and isinstance(items, Sized) else total
        began = time.monotonic()
        pause = _REDRAW_SECONDS if self._live else _LINE_SECONDS
        due, done = began + (0 if self._live else pause), 0
        try:
            for item in items:
                now = time.monotonic()
                if now >= due:
                    self._show(title, done, count, now - began)
                    due = now + pause
                yield item
                done += 1
        finally:
            self._show(title, done, count, time.monotonic() - began, last=True)

    def _show(
        self, title: str, done: int, total: int | None, seconds: float, *, last: bool = False
    ) -> None:
        counted = f"{done:,}" if total is None or last else f"{done:,} of {total:,}"
        err = self._terminal.err
        if not self._live:
            err.write(
                f"{title}: {counted} in {seconds:.1f} s\n" if last else f"{title}: {counted}\n"
            )
        else:
            bar = self._terminal.paint(bar_of(done, total), "green", err=True)
            # To the start of the line, and what was longer before is erased behind it.
            err.write(
                f"\r{title}  {bar}  {counted}  {seconds:.0f} s\x1b[K" + ("\n" if last else "")
            )
        err.flush()


def bar_of(done: int, total: int | None) -> str:
    """A bar as full as the work is done; empty where nobody knows how much there is."""
    if not total:
        return ""
    full = min(_WIDTH, _WIDTH * done // total)
    return "█" * full + "░" * (_WIDTH - full)
