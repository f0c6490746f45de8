"""Emit below, watch above: the facts of the running program, and whoever listens to them.

A unit of work is one request, job, message or command. It is finished exactly once, and the
finished unit itself is the record. Listeners must not raise and must not block; one that
raises is reported on standard error and otherwise ignored.
"""

from __future__ import annotations

import itertools
import os
import random
import re
import sys
import time
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


class Unit(Protocol):
    """One unit of work, as its facade keeps it and as listeners read it."""

    @property
    def id(self) -> str: ...
    @property
    def trace_id(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened inside a unit of work.

    Attributes:
        name: dotted, `feature.what`; listed in the feature's reference page.
        facts: values that a log line can hold.
        seconds: how long it took; None for an instant.
        error: what ended it, if an exception did.
        unit: the unit of work that it belongs to, if there was one.
    """

    name: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    seconds: float | None = None
    error: BaseException | None = None
    unit: Unit | None = None


current: ContextVar[Unit | None] = ContextVar("mainspring_unit", default=None)

_listeners: list[Callable[[Event], None]] = []


def subscribe(listener: Callable[[Event], None]) -> Callable[[], None]:
    """Call `listener` with every event from now on; returns the function that ends it.

    Ending it a second time does nothing.
    """
    _listeners.append(listener)

    def unsubscribe() -> None:
        with suppress(ValueError):
            _listeners.remove(listener)

    return unsubscribe


def emit(name: str, /, **facts: Any) -> None:
    """Tell the listeners of an instant. Costs one attribute test when nobody listens."""
    if _listeners:
        _tell(Event(name, facts, unit=current.get()))


def failed(name: str, error: BaseException, /, **facts: Any) -> None:
    """Tell the listeners of an error that was handled but should be known."""
    if _listeners:
        _tell(Event(name, facts, error=error, unit=current.get()))


class Span:
    """A stretch of work that is being measured."""

    __slots__ = ("facts",)

    def __init__(self, facts: dict[str, Any]) -> None:
        self.facts = facts

    def note(self, /, **facts: Any) -> None:
        """Add what became known on the way."""
        self.facts.update(facts)


@contextmanager
def span(name: str, /, **facts: Any) -> Iterator[Span]:
    """Measure a block and tell the listeners when it ends, however it ends."""
    if not _listeners:
        yield Span(facts)
        return
    began = time.perf_counter()
    seen = Span(facts)
    error: BaseException | None = None
    try:
        yield seen
    except BaseException as exc:
        error = exc
        raise
    finally:
        took = time.perf_counter() - began
        _tell(Event(name, seen.facts, seconds=took, error=error, unit=current.get()))


def _tell(event: Event) -> None:
    for listener in tuple(_listeners):
        try:
            listener(event)
        except Exception as exc:  # noqa: BLE001  # a listener's fault must not become the application's
            print(f"mainspring: a telemetry listener failed: {exc!r}", file=sys.stderr)  # noqa: T201


_prefix = f"{random.SystemRandom().getrandbits(64):016x}"
_serial = itertools.count()


def _renew_prefix() -> None:
    global _prefix  # noqa: PLW0603  # a forked child must not repeat its parent's ids
    _prefix = f"{random.SystemRandom().getrandbits(64):016x}"


os.register_at_fork(after_in_child=_renew_prefix)


def new_id() -> str:
    """32 hexadecimal digits, unique over processes and machines: valid as a W3C trace id.

    Half is random per process and half counts, which is ten times cheaper than
    `uuid4` and sorts by age within a process. It is not a secret.
    """
    return f"{_prefix}{next(_serial):016x}"


# Version ff is forbidden, and an id of zeros is no id.
_TRACEPARENT: Final = re.compile(
    r"(?!ff)(?P<version>[0-9a-f]{2})-(?!0{32})(?P<trace>[0-9a-f]{32})"
    r"-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?P<more>-.*)?"
)


def read_traceparent(header: str) -> str | None:
    """The trace id of a `traceparent` header, or None if it is not well formed.

    Source: W3C Trace Context, section 3.2.
    """
    found = _TRACEPARENT.fullmatch(header)
    # Only a later version than the one we know may say more.
    if found is None or (found["more"] and found["version"] == "00"):
        return None
    return found["trace"]
