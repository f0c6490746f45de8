"""Logs: one line per request, whatever the application says, and what telemetry reports.

What an application says to `structlog` or to the standard library's `logging` ends in the same
writer, with the id of the request that it belongs to.
"""

from __future__ import annotations

import logging
import os
import sys
import time
import traceback
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, Protocol

from mainspring import telemetry
from mainspring.observe._lines import Said, as_json, as_text
from mainspring.observe._writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.settings import Settings

_STDOUT: Final = 1
_LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}


class Patterned(Protocol):
    """A route, by what groups its requests."""

    pattern: str


class FinishedRequest(Protocol):
    """What a request has to tell; `http.Request` is one."""

    @property
    def id(self) -> str: ...

    method: str
    path: str
    status: int
    started: float
    client: tuple[str, int] | None

    @property
    def route(self) -> Patterned: ...


class Logs:
    """Where lines of one process go.

    Args:
        fd: a file descriptor.
        text: readable lines instead of JSON.
        colour: colour readable lines.
        level: what is less than it is not written.
    """

    def __init__(
        self, fd: int = _STDOUT, *, text: bool = False, colour: bool = False, level: str = "info"
    ) -> None:
        self._writer = Writer(fd, as_text(colour=colour) if text else as_json)
        self._level = _LEVELS.get(level.lower(), logging.INFO)
        self._unsubscribe: Callable[[], None] | None = None
        self._handler: logging.Handler | None = None
        self._give_back: Callable[[], None] | None = None

    @classmethod
    def of(cls, settings: Settings) -> Logs:
        """Readable in development, JSON elsewhere; coloured only for a terminal that wants it."""
        colour = settings.debug and not settings.no_color and os.isatty(_STDOUT)
        return cls(text=settings.debug, colour=colour, level=settings.log_level)

    def request_sink(self) -> Callable[[Any], None]:
        """What is told of each finished request: one append, and the thread does the rest."""
        put, nudge = self._writer.put, self._writer.nudge

        def sink(request: FinishedRequest) -> None:
            # A plain tuple in the order of `Finished`, which costs a fifth of making one.
            put((
                request.id,
                request.method,
                request.path,
                request.route.pattern,
                request.status,
                request.started,
                perf_counter(),
                request.client,
            ))  # fmt: skip
            nudge()

        return sink

    def writes(self, level: str) -> bool:
        """Whether a line of this level is written."""
        return _LEVELS.get(level, logging.INFO) >= self._level

    def say(self, level: str, event: str, facts: dict[str, Any]) -> None:
        """Write a line if its level is high enough, with the id of the current unit of work."""
        if not self.writes(level):
            return
        unit = telemetry.current.get()
        if unit is not None:
            facts.setdefault("request_id", unit.id)
        self._writer.put(Said(time.time(), level, event, facts))
        self._writer.nudge()

    def open(self) -> None:
        """Take over: structlog, the root logger of `logging`, and telemetry's errors.

        Structlog is 2 MB and a fiftieth of a start, so that it is left alone unless the
        application's modules have imported it by now.
        """
        if "structlog" in sys.modules:
            from mainspring.observe import _structlog  # noqa: PLC0415

            _structlog.take_over(self.say, level=self._level)
            self._give_back = _structlog.give_back
        self._handler = _Bridge(self)
        logging.getLogger().addHandler(self._handler)
        if logging.getLogger().level in {logging.NOTSET, logging.WARNING}:
            logging.getLogger().setLevel(self._level)
        self._unsubscribe = telemetry.subscribe(self._from_telemetry)

    def close(self) -> None:
        """Give back what `open` took, and write what is left."""
        if self._unsubscribe is not None:
            self._unsubscribe()
        if self._handler is not None:
            logging.getLogger().removeHandler(self._handler)
        if self._give_back is not None:
            self._give_back()
        self._writer.close()

    def _from_telemetry(self, event: telemetry.Event) -> None:
        if event.error is not None:
            facts = {**event.facts, "error": repr(event.error)}
            facts["exception"] = "".join(traceback.format_exception(event.error))
            self.say("error", event.name, facts)
        elif event.facts.get("level"):
            facts = dict(event.facts)
            self.say(str(facts.pop("level")), event.name, facts)


class _Bridge(logging.Handler):
    """The standard library's records into our lines."""

    def __init__(self, logs: Logs) -> None:
        super().__init__()
        self._logs = logs

    def emit(self, record: logging.LogRecord) -> None:
        facts: dict[str, Any] = {"logger": record.name}
        if record.exc_info and record.exc_info[1] is not None:
            facts["exception"] = "".join(traceback.format_exception(record.exc_info[1]))
        try:
            text = record.getMessage()
        except (TypeError, ValueError):  # the arguments do not fit the format
            text = str(record.msg)
        self._logs.say(record.levelname.lower(), text, facts)
