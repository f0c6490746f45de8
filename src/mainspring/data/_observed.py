"""Statements that were sent, for those who want to know; nobody does unless asked to.

What goes through SQLAlchemy is heard by an event that exists only while somebody listens.
What does not, calls `told` if `listening()`.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from weakref import ref

from sqlalchemy import Engine, event

if TYPE_CHECKING:
    from collections.abc import Callable

    Listener = Callable[["Statement"], None]


@dataclass(slots=True)  # frozen ones take three times as long to make
class Statement:
    """One statement that the database has run.

    Attributes:
        text: SQL, with placeholders.
        session: whose it is, which stands for the unit of work; None for a connection of its own.
        parameters: how many values went with it.
        rows: how many came back; 0 for a stream, whose rows come later.
        many: it is one of a batch that is sent row by row.
        repeats: it says of itself that it may be sent again and again.
    """

    text: str
    session: Any = None
    parameters: int = 0
    rows: int = 0
    many: bool = False
    repeats: bool = False


_listeners: list[Listener] = []
_entered: ContextVar[tuple[Any, Any]] = ContextVar("mainspring_data_entered")


def listening() -> bool:
    """Whether anybody wants to know."""
    return bool(_listeners)


def entered(session: Any, connection: Any) -> None:
    """Say whose the next statements of a connection are."""
    _entered.set((ref(session), ref(connection)))


def told(statement: Statement) -> None:
    """Tell the listeners; what one of them raises is the statement's failure."""
    for listener in tuple(_listeners):
        listener(statement)


def listen(listener: Listener) -> Callable[[], None]:
    """Call `listener` with every statement of this process; returns what ends it."""
    if not _listeners:
        event.listen(Engine, "after_cursor_execute", _heard)
    _listeners.append(listener)

    def stop() -> None:
        if listener in _listeners:
            _listeners.remove(listener)
            if not _listeners:
                event.remove(Engine, "after_cursor_execute", _heard)

    return stop


def _heard(
    connection: Any,
    cursor: Any,
    text: str,
    parameters: Any,
    context: Any,
    executemany: bool,  # noqa: FBT001  # the event's parameters
) -> None:
    told(
        Statement(
            text,
            _owner(connection),
            parameters=0 if executemany or not parameters else len(parameters),
            # Where SQLAlchemy's adapters and our own cursor keep what has come.
            rows=len(getattr(cursor, "_rows", ())),
            many=executemany,
            repeats=context is not None and bool(context.execution_options.get("repeats")),
        )
    )


def _owner(connection: Any) -> Any:
    session, entered_with = _entered.get(_NOBODY)
    return session() if entered_with() is connection else None


def _nothing() -> None: ...


_NOBODY: Final = (_nothing, _nothing)
