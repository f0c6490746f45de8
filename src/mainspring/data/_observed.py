"""Statements as they are sent, for those who want to know; nobody does in production.

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


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement on its way to the database.

    Attributes:
        text: SQL, with placeholders.
        session: whose it is, which stands for the unit of work; None for a connection of its own.
        many: it is one of a batch that the driver or SQLAlchemy sends row by row.
        parameters: how many values go with it.
        options: execution options, such as `repeats`.
    """

    text: str
    session: Any = None
    many: bool = False
    parameters: int = 0
    options: Any = None


_listeners: list[Listener] = []
_entered: ContextVar[tuple[Any, Any]] = ContextVar("mainspring_data_entered")


def listening() -> bool:
    """Whether anybody wants to know."""
    return bool(_listeners)


def entered(session: Any, connection: Any) -> None:
    """Say whose the next statements of a connection are."""
    _entered.set((ref(session), ref(connection)))


def _owner(connection: Any) -> Any:
    session, entered_with = _entered.get(_NOBODY)
    return session() if entered_with() is connection else None


def _nothing() -> None: ...


_NOBODY: Final = (_nothing, _nothing)


def told(statement: Statement) -> None:
    """Tell the listeners; what one of them raises is the statement's failure."""
    for listener in tuple(_listeners):
        listener(statement)


def listen(listener: Listener) -> Callable[[], None]:
    """Call `listener` with every statement of this process; returns what ends it."""
    if not _listeners:
        event.listen(Engine, "before_cursor_execute", _heard)
    _listeners.append(listener)

    def stop() -> None:
        if listener in _listeners:
            _listeners.remove(listener)
            if not _listeners:
                event.remove(Engine, "before_cursor_execute", _heard)

    return stop


def _heard(  # the event's parameters
    connection: Any,
    _cursor: Any,
    text: str,
    parameters: Any,
    context: Any,
    executemany: bool,  # noqa: FBT001
) -> None:
    options = None if context is None else context.execution_options
    count = len(parameters) if parameters and not executemany else 0
    told(Statement(text, _owner(connection), executemany, count, options))
