"""Statements that one place of the code sends again and again within one unit of work: N+1.

What is compared is the statement without its values, and the stack of the application's own
functions. So it is found whether a relation, a look-up, a count or plain SQL is behind it.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal
from weakref import WeakKeyDictionary

import greenlet  # type: ignore[import-untyped]  # it has no annotations
import sqlalchemy

from mainspring import telemetry
from mainspring.data import _observed
from mainspring.data._errors import RepeatedStatement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    Place = tuple[tuple[int, int], ...]

Mode = Literal["off", "metric", "warning", "error"]

TIMES: Final = 3
"""A statement that comes so often from one place is reported."""

_MOST_FRAMES: Final = 25
# Reads of so many values are the batches that a loop should be.
_BATCH_VALUES: Final = 50
_FIX: Final = (
    "ask once for all: db.load(objects, Model.relation), a join, or .in_(…); "
    "if it is meant, say .execution_options(repeats=True)"
)
_WATCHED: Final = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "REPLACE")
_LIST: Final = re.compile(r"\bIN \([^()]*\)", re.IGNORECASE)
_LITERAL: Final = re.compile(r"'(?:[^']|'')*'|\b\d+(?:\.\d+)?\b")
_FOREIGN: Final = tuple(
    str(folder) + os.sep
    for folder in (
        Path(__file__).parents[1],
        *(Path(str(each.__file__)).parent for each in (sqlalchemy, asyncio, greenlet)),
    )
)


@dataclass(frozen=True, slots=True)
class Repeat:
    """A statement that came too often.

    Attributes:
        statement: without its values.
        places: where it came from, the innermost first: `file:line in function`.
    """

    statement: str
    places: tuple[str, ...]


def watch(mode: Mode) -> Callable[[], None]:
    """Report repeated statements of this process from now on; returns what ends it.

    Args:
        mode: `error` raises `RepeatedStatement` at the statement, `warning` and `metric`
            emit the event `data.repeated`, which for `warning` is a line in the log.
    """
    if mode == "off":
        return lambda: None
    return _observed.listen(Repeats(_REPORTS[mode]))


class Repeats:
    """Counts statements by unit of work, text and place; reports each the third time.

    Args:
        report: what is told.
    """

    def __init__(self, report: Callable[[Repeat], None]) -> None:
        self._report = report
        self._seen: WeakKeyDictionary[Any, dict[tuple[str, Place], _Count]] = WeakKeyDictionary()

    def __call__(self, statement: _observed.Statement) -> None:
        session = statement.session
        if session is None or statement.many or statement.repeats:
            return
        if statement.parameters >= _BATCH_VALUES:
            return
        text = fingerprint(statement.text)
        if not text.startswith(_WATCHED):
            return
        place = _place()
        if not place:
            return
        counts = self._seen.setdefault(session, {})
        count = counts.setdefault((text, place), _Count())
        if count.add(once=greenlet.getcurrent() if session._flushing else None):  # noqa: SLF001
            self._report(Repeat(text, tuple(_described())))


class _Count:
    """How often; a flush counts once, because what it sends for each object is not a loop."""

    __slots__ = ("last", "times")

    def __init__(self) -> None:
        self.times = 0
        self.last: Any = None

    def add(self, *, once: Any) -> bool:
        """Whether this is the time to report it."""
        if once is not None and once is self.last:
            return False
        self.last = once
        self.times += 1
        return self.times == TIMES


@lru_cache(maxsize=2048)
def fingerprint(statement: str) -> str:
    """The statement without values, and with lists of any length alike."""
    return _LITERAL.sub("?", _LIST.sub("IN (…)", statement.lstrip()))


def _frames() -> Iterator[FrameType]:
    """The application's frames, the innermost first, through the greenlets that are between."""
    current: Any = greenlet.getcurrent()
    frame: Any = sys._getframe(1)  # noqa: SLF001  # there is no other way that is cheap
    left = _MOST_FRAMES
    while left:
        while frame is not None and left:
            if _is_own(frame.f_code.co_filename):
                left -= 1
                yield frame
            frame = frame.f_back
        current = current.parent
        if current is None:
            return
        frame = current.gr_frame


@lru_cache(maxsize=4096)
def _is_own(filename: str) -> bool:
    return not filename.startswith((*_FOREIGN, "<"))


def _place() -> Place:
    # A recursion is one place, however deep. To hash the code itself would take longer.
    return tuple(dict.fromkeys((id(frame.f_code), frame.f_lasti) for frame in _frames()))


def _described() -> Iterator[str]:
    for frame in _frames():
        code = frame.f_code
        yield f"{code.co_filename}:{frame.f_lineno} in {code.co_qualname}"


def _raise(found: Repeat) -> None:
    raise RepeatedStatement(
        f"the same statement was sent {TIMES} times from {found.places[0]}: {found.statement}",
        fix=_FIX,
    )


def _warn(found: Repeat) -> None:
    telemetry.emit(
        "data.repeated",
        level="warning",
        statement=found.statement,
        times=TIMES,
        stack=list(found.places),
        fix=_FIX,
    )


def _count(found: Repeat) -> None:
    telemetry.emit("data.repeated", statement=found.statement, place=found.places[0])


_REPORTS: Final[dict[str, Callable[[Repeat], None]]] = {
    "error": _raise,
    "warning": _warn,
    "metric": _count,
}
