"""A session's short way to the database: from a statement to structs by the driver's own call."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

import msgspec
from sqlalchemy.exc import DBAPIError, MultipleResultsFound
from sqlalchemy.ext.asyncio import AsyncSession

from mainspring.data import _observed
from mainspring.data._errors import RowNotFound, UnitEnded
from mainspring.data._hot import Bound, Hot

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence

    from sqlalchemy import Executable
    from sqlalchemy.engine import Engine

    from mainspring.data._backend import Backend
    from mainspring.data._driver import Answer
    from mainspring.data._link import Link
    from mainspring.data._plan import Plan
    from mainspring.data._unit import UnitOfWork

    Streams = dict[AsyncGenerator[Any, None], asyncio.Lock]

T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)

CHUNK = 500


class Direct(AsyncSession):
    """Reads and writes that make no objects: rows become structs, and SQLAlchemy only compiles.

    They belong to the same transaction as everything else, and what the session has not
    written yet is written before them.
    """

    _unit: UnitOfWork

    @property
    def is_loaded(self) -> bool:
        """Whether anything but hot statements was asked of it."""
        return "sync_session" in self.__dict__

    @overload
    async def all(self, query: Hot[T] | Bound[T], /, **values: Any) -> list[T]: ...
    @overload
    async def all(self, query: Executable, into: type[S], /) -> list[S]: ...
    async def all(self, query: Any, into: Any = None, /, **values: Any) -> list[Any]:
        """Every row: `await db.all(select(Note), NoteOut)`, `await db.all(notes_of, user=7)`."""
        plan, (rows, _) = await self._answer(query, into, values)
        return _every(plan, rows, values)

    @overload
    async def first(self, query: Hot[T] | Bound[T], /, **values: Any) -> T | None: ...
    @overload
    async def first(self, query: Executable, into: type[S], /) -> S | None: ...
    async def first(self, query: Any, into: Any = None, /, **values: Any) -> Any:
        """The first row, or None if there is none."""
        plan, (rows, _) = await self._answer(query, into, values)
        return _first(plan, rows, values)

    @overload
    async def one(self, query: Hot[T] | Bound[T], /, **values: Any) -> T: ...
    @overload
    async def one(self, query: Executable, into: type[S], /) -> S: ...
    async def one(self, query: Any, into: Any = None, /, **values: Any) -> Any:
        """The only row.

        Raises:
            RowNotFound: there is none; answers with 404 if nobody catches it.
            MultipleResultsFound: there are several.
        """
        plan, (rows, _) = await self._answer(query, into, values)
        return _only(plan, rows, values or getattr(query, "values", {}))

    async def run(self, query: Hot[Any] | Bound[Any], /, **values: Any) -> int:
        """How many rows an INSERT, UPDATE or DELETE has changed.

        Objects that the session has read already keep the values that they had.
        """
        _, (_, count) = await self._answer(query, None, values)
        return count

    @overload
    def each(self, query: Hot[T] | Bound[T], /, **values: Any) -> AsyncIterator[T]: ...
    @overload
    def each(self, query: Executable, into: type[S], /) -> AsyncIterator[S]: ...
    async def each(self, query: Any, into: Any = None, /, **values: Any) -> AsyncIterator[Any]:
        """Row by row, by a cursor of the server: at most 500 rows are in memory.

        Until the iteration has ended the unit can send nothing else on MySQL and MariaDB. The
        end of the unit, or of its transaction, ends the iteration too.

        Raises:
            UnitEnded: that has happened, and rows were left.
        """
        link = await self._ready()
        plan, sql, arguments = self._prepared(query, into, values)
        self._tell(sql, arguments)
        chunks = self._unit.backend.driver.chunks(link.raw, plan, sql, arguments, size=CHUNK)
        streams: Streams = self.__dict__.setdefault("_streams", {})
        streams[chunks] = asyncio.Lock()
        try:
            async for rows in chunks:
                for value in plan.decoder(None).all(rows):
                    yield value
        except self._unit.backend.engine.dialect.loaded_dbapi.Error as exc:
            raise self._failure(link, sql, arguments, exc) from exc
        except (Exception, GeneratorExit):
            raise
        except BaseException:
            self._unit.interrupted(link)
            raise
        finally:
            ended = chunks not in streams
            await _end(streams, chunks)
        if ended:
            raise UnitEnded("the transaction ended before all rows were read")

    async def end_streams(self) -> None:
        """End the iterations that `each` has begun; a transaction cannot end before them."""
        streams: Streams = self.__dict__.get("_streams", {})
        for chunks in [*streams]:
            await _end(streams, chunks)

    async def _answer(
        self, query: Any, into: Any, values: Mapping[str, Any]
    ) -> tuple[Plan[Any], Answer]:
        link = await self._ready()
        plan, sql, arguments = self._prepared(query, into, values)
        driver = self._unit.backend.driver
        try:
            answer = driver.send_now(link.raw, plan, sql, arguments)
            if answer is None:
                answer = await driver.send(link.raw, plan, sql, arguments)
        except Exception as exc:
            failure = self._failure(link, sql, arguments, exc)
            if failure is exc:
                raise
            raise failure from exc
        except BaseException:
            self._unit.interrupted(link)
            raise
        self._tell(sql, arguments, len(answer[0]))
        return plan, answer

    async def _ready(self) -> Link:
        """The connection, with what the session holds back written."""
        if self.is_loaded:
            session = self.sync_session
            if session.autoflush and not session._is_clean():  # noqa: SLF001  # what its own autoflush asks
                await self.flush()
            if session.in_nested_transaction():
                # SQLAlchemy sends SAVEPOINT when the connection is first asked for.
                _ = await self.connection()
        return self._unit.link or await self._unit.take()

    def _prepared(
        self, query: Any, into: Any, values: Mapping[str, Any]
    ) -> tuple[Plan[Any], str, tuple[Any, ...]]:
        backend = self._unit.backend
        dialect = backend.engine.dialect
        plan, values = planned(backend, query, into, values)
        try:
            sql, arguments = plan.call(values)
        except (ValueError, TypeError, ArithmeticError, dialect.loaded_dbapi.Error) as exc:
            # A value that its column's type refuses.
            raise _wrapped(backend.engine, plan.sql, values, exc) from exc
        return plan, sql, arguments

    def _tell(self, sql: str, arguments: Any, rows: int = 0) -> None:
        if _observed.listening():
            sent = _observed.Statement(sql, self.sync_session, len(arguments), rows)
            _observed.told(sent)

    def _failure(self, link: Link, sql: str, arguments: Any, exc: Exception) -> Exception:
        """The error as SQLAlchemy would report it; the same if it is not the database's."""
        engine = self._unit.backend.engine
        if not isinstance(exc, engine.dialect.loaded_dbapi.Error):
            return exc
        gone = engine.dialect.is_disconnect(exc, link.raw, None)
        if gone:
            link.connection.invalidate(exc)
        return _wrapped(engine, sql, arguments, exc, gone=gone)


async def _end(streams: Streams, chunks: AsyncGenerator[Any, None]) -> None:
    # Both the iteration that was left and the unit's end may come to it.
    lock = streams.get(chunks)
    if lock is not None:
        async with lock:
            await chunks.aclose()
        streams.pop(chunks, None)


def planned(
    backend: Backend, query: Any, into: Any, values: Mapping[str, Any]
) -> tuple[Plan[Any], Mapping[str, Any]]:
    """How the statement is sent, and the values that go with it."""
    dialect = backend.engine.dialect
    if type(query) is Hot:
        return backend.plans.of(query, values, dialect), values
    if type(query) is Bound:
        return backend.plans.of(query.hot, query.values, dialect), query.values
    return backend.plans.once(query, into, dialect)


def _every(plan: Plan[Any], rows: Sequence[Any], _values: Mapping[str, Any]) -> list[Any]:
    return plan.decoder(None).all(rows)


def _first(plan: Plan[Any], rows: Sequence[Any], _values: Mapping[str, Any]) -> Any:
    return plan.decoder(None).one(rows[0]) if rows else None


def _only(plan: Plan[Any], rows: Sequence[Any], values: Mapping[str, Any]) -> Any:
    if len(rows) == 1:
        return plan.decoder(None).one(rows[0])
    if rows:
        raise MultipleResultsFound(f"{len(rows)} rows instead of one")
    raise RowNotFound(_missing(plan, values))


READ: Final = {"all": _every, "first": _first, "one": _only}
"""What becomes of a statement's rows, by the session's verb."""


def _wrapped(
    engine: Engine, sql: str, arguments: Any, exc: Exception, *, gone: bool = False
) -> Exception:
    return DBAPIError.instance(
        sql,
        arguments,
        exc,
        engine.dialect.loaded_dbapi.Error,
        hide_parameters=engine.hide_parameters,
        connection_invalidated=gone,
        dialect=engine.dialect,
    )


def _missing(plan: Plan[Any], values: Mapping[str, Any]) -> str:
    given = ", ".join(f"{name} {value!r}" for name, value in values.items())
    return f"there is no {plan.title} with {given}" if given else f"there is no {plan.title}"
