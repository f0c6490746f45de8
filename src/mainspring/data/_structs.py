"""From the columns of a row to a struct, a tuple or a value: what can be known is known once."""

from __future__ import annotations

import inspect
from enum import Enum
from itertools import starmap
from operator import itemgetter
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, Union, get_args, get_origin

import msgspec

from mainspring.data._errors import HotStatementError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Convert = Callable[[Any], Any]

T = TypeVar("T")


class Decoder(Generic[T]):
    """Makes values of rows; `converts` says which columns are not taken as they are.

    Many rows are turned column by column, so that the loops run in C.
    """

    __slots__ = ("_converts", "_make", "_pick")

    def __init__(
        self,
        make: Callable[..., T],
        converts: Sequence[tuple[int, Convert]],
        pick: Callable[[Any], tuple[Any, ...]] | None = None,
    ) -> None:
        self._make = make
        self._converts = tuple(converts)
        self._pick = pick

    def one(self, row: Any) -> T:
        """The value of one row."""
        if self._converts:
            row = [*row]
            for at, convert in self._converts:
                row[at] = convert(row[at])
        if self._pick is not None:
            row = self._pick(row)
        return self._make(*row)

    def all(self, rows: Sequence[Any]) -> list[T]:
        """The values of all rows."""
        if len(rows) < 2:  # turning pays from the second row on
            return [self.one(row) for row in rows]
        turned: Iterable[Any] = rows
        if self._converts:
            columns: list[Iterable[Any]] = [*zip(*rows, strict=True)]
            for at, convert in self._converts:
                columns[at] = map(convert, columns[at])
            turned = zip(*columns, strict=True)
        if self._pick is not None:
            turned = map(self._pick, turned)
        return [*starmap(self._make, turned)]


class Shape(Generic[T]):
    """What rows with these columns become.

    Args:
        into: a struct with a field for every column; None for a tuple, or the value itself
            where there is one column.
        names: of the columns.
        nullable: which of them may be NULL.

    Raises:
        HotStatementError: a column has no field, a field has no column or default, or a
            column that may be NULL meets a field that may not.
    """

    def __init__(
        self, into: type[T] | None, names: Sequence[str], nullable: Sequence[bool]
    ) -> None:
        self._make: Callable[..., Any]
        self._pick: Callable[[Any], tuple[Any, ...]] | None = None
        self._fits: list[tuple[int, Convert]] = []
        if into is None:
            self._make = _itself if len(names) == 1 else _tuple
        else:
            self._fit(into, names, nullable)

    def decoder(self, processors: Sequence[Convert | None]) -> Decoder[T]:
        """The decoder for a driver whose values need these processors."""
        fits = dict(self._fits)
        converts = []
        for at, process in enumerate(processors):
            fit = fits.get(at)
            convert = fit if process is None else process if fit is None else _both(process, fit)
            if convert is not None:
                converts.append((at, convert))
        return Decoder(self._make, converts, self._pick)

    def _fit(self, into: type[Any], names: Sequence[str], nullable: Sequence[bool]) -> None:
        fields = {field.name: field for field in msgspec.structs.fields(into)}
        _check(into, fields, names)
        for at, name in enumerate(names):
            kind = fields[name].type
            if nullable[at] and not _takes_none(kind):
                raise HotStatementError(
                    f"the column {name} may be NULL, and {into.__name__}.{name} may not be None",
                    fix=f"declare it as `{name}: … | None`, or select func.coalesce(…)",
                )
            if _is_made(kind):
                self._fits.append((at, _conversion(kind)))
        positional = _positional(into)
        wanted = [name for name in fields if name in names]
        if wanted != positional[: len(wanted)]:
            self._make = _by_name(into, names)
            return
        self._make = into
        order = [names.index(name) for name in wanted]
        if order != [*range(len(order))]:
            self._pick = itemgetter(*order)


def _check(into: type[Any], fields: dict[str, Any], names: Sequence[str]) -> None:
    title = into.__name__
    for at, name in enumerate(names):
        if name not in fields:
            raise HotStatementError(
                f"the column {name!r} has no field in {title}",
                fix=f"add the field, or leave the column out; {title} has {', '.join(fields)}",
            )
        if name in names[:at]:
            raise HotStatementError(
                f"two columns are called {name!r}", fix="name one of them: column.label(…)"
            )
    missing = [f.name for f in fields.values() if f.required and f.name not in names]
    if missing:
        raise HotStatementError(
            f"nothing is selected for {title}.{', '.join(missing)}",
            fix="select a column of that name, or .label() one, or give the field a default",
        )


def _tuple(*values: Any) -> tuple[Any, ...]:
    return values


def _itself(value: Any) -> Any:
    return value


def _both(first: Convert, then: Convert) -> Convert:
    return lambda value: then(first(value))


def _by_name(into: type[T], names: Sequence[str]) -> Callable[..., T]:
    return lambda *values: into(**dict(zip(names, values, strict=True)))


def _positional(into: type[Any]) -> list[str]:
    parameters = inspect.signature(into).parameters.values()
    return [one.name for one in parameters if one.kind is not one.KEYWORD_ONLY]


def _takes_none(kind: Any) -> bool:
    if kind in {Any, None, NoneType}:
        return True
    if get_origin(kind) in {Union, UnionType}:
        return any(part is Any or part in {None, NoneType} for part in get_args(kind))
    return False


def _is_made(kind: Any) -> bool:
    """Whether a column's value has to be made into the field's type: a struct of JSON, an enum."""
    if isinstance(kind, type):
        return issubclass(kind, (msgspec.Struct, Enum))
    return any(map(_is_made, get_args(kind)))


def _conversion(kind: Any) -> Convert:
    return lambda value: msgspec.convert(value, kind)
