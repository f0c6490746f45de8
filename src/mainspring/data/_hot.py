"""Hot statements: compiled once, then sent by the driver's own call."""

from __future__ import annotations

from collections import OrderedDict
from typing import (
    TYPE_CHECKING,
    Any,
    Generic,
    TypeAlias,
    TypeVar,
    TypeVarTuple,
    overload,
)

import msgspec
from sqlalchemy import Executable, Select

from mainspring.data._errors import HotStatementError
from mainspring.data._plan import Plan, cache_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.engine import Dialect
    from sqlalchemy.sql.selectable import TypedReturnsRows

T = TypeVar("T")
T2 = TypeVar("T2")
S = TypeVar("S", bound=msgspec.Struct)
Ts = TypeVarTuple("Ts")

_NO_VALUES: Mapping[str, Any] = {}


class Hot(Generic[T]):
    """A statement that is used often: made by `hot`, once, at the top of a module."""

    __slots__ = ("__weakref__", "into", "statement")

    def __init__(self, statement: Executable, into: type[T] | None) -> None:
        self.statement = statement
        self.into = into

    def __call__(self, **values: Any) -> Bound[T]:
        """The statement with values for its parameters; a handler may return it."""
        return Bound(self, values)

    def __repr__(self) -> str:
        return f"hot({str(self.statement)!r})"


class Bound(Generic[T]):
    """A hot statement and the values of its parameters."""

    __slots__ = ("hot", "values")

    def __init__(self, hot: Hot[T], values: Mapping[str, Any]) -> None:
        self.hot = hot
        self.values = values


Rows: TypeAlias = Select[*tuple[Any, ...]] | Bound[Any]
"""What a handler may return in place of the rows: `-> list[NoteOut] | Rows`."""


@overload
def hot(statement: Executable, into: type[S]) -> Hot[S]: ...
@overload
def hot(statement: TypedReturnsRows[T]) -> Hot[T]: ...
@overload
def hot(statement: TypedReturnsRows[T, T2, *Ts]) -> Hot[tuple[T, T2, *Ts]]: ...
@overload
def hot(statement: Executable) -> Hot[Any]: ...
def hot(statement: Executable, into: type[Any] | None = None) -> Hot[Any]:
    """A statement that is compiled once for each database.

    Its parameters are those of `bindparam`; an INSERT without values, and an UPDATE, take
    their columns by name as well. Every other value in it stays what it is.

    Args:
        statement: of SQLAlchemy, reading columns and not entities.
        into: a struct that rows become. Its fields choose the columns of an entity:
            `hot(select(Note), NoteOut)`. Without it rows are tuples, and bare values where
            there is one column.

    Raises:
        HotStatementError: when it is used first, if columns and fields do not fit.
    """
    return Hot(statement, into)


# Plans of statements that were made anew: as many as SQLAlchemy keeps compiled.
_KEPT = 500


class Plans:
    """The plans of one database."""

    def __init__(self) -> None:
        self._hot: dict[Hot[Any], Plan[Any]] = {}
        self._written: dict[tuple[Hot[Any], tuple[str, ...]], Plan[Any]] = {}
        self._made: OrderedDict[Any, Plan[Any]] = OrderedDict()

    def of(self, hot: Hot[T], values: Mapping[str, Any], dialect: Dialect) -> Plan[T]:
        """The plan of a hot statement."""
        plan = self._hot.get(hot)
        if plan is not None:
            return plan
        if isinstance(hot.statement, Select):
            plan = self._hot[hot] = Plan(hot.statement, dialect, hot.into)
            return plan
        key = (hot, (*values,))
        if key not in self._written:
            self._written[key] = Plan(
                hot.statement, dialect, hot.into, columns=_columns(hot, values)
            )
        return self._written[key]

    def once(
        self, statement: Any, into: type[T] | None, dialect: Dialect
    ) -> tuple[Plan[T], Mapping[str, Any]]:
        """The plan of a statement that was just made, and the values in it.

        Statements that differ in nothing but values have one plan.
        """
        if not isinstance(statement, Executable):
            raise HotStatementError(f"{statement!r} is no statement", fix="pass a select(…)")
        key = cache_key(statement)
        if key is None:
            return Plan(statement, dialect, into), _NO_VALUES
        known = (key.key, into)
        plan = self._made.get(known)
        if plan is None:
            plan = self._made[known] = Plan(statement, dialect, into, literals=key.bindparams)
            if len(self._made) > _KEPT:
                self._made.popitem(last=False)
        else:
            self._made.move_to_end(known)
        return plan, plan.values_in(key.bindparams)


def _columns(hot: Hot[Any], values: Mapping[str, Any]) -> list[str]:
    """Those of the values that are columns; the others belong to parameters of the statement."""
    table = hot.statement.table  # type: ignore[attr-defined]
    return [name for name in values if name in table.c]
