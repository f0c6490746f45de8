"""Many rows at once: inserted, or updated where they are there already.

Rows come from any iterable, asynchronous ones too, and the next are asked for when the ones
before have been written. No objects are made of them, so that what a model does in Python,
other than the defaults of its columns, does not happen.
"""

from __future__ import annotations

from collections.abc import AsyncIterable
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import insert, text
from sqlalchemy.exc import DBAPIError

from mainspring.data._errors import ModelError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

    from sqlalchemy import Column, Dialect
    from sqlalchemy.orm import Mapper

    from mainspring.data._queries import Queries

    Row = Mapping[str, Any]
    Rows = Iterable[Row] | AsyncIterable[Row]

CHUNK: Final = 1000


async def insert_many(session: Queries, kind: type[Any], rows: Rows) -> int:
    """See `Session.insert_many`."""
    mapper: Mapper[Any] = kind.__mapper__
    alike = _alike(kind, rows)
    if _copies(session.dialect) and _can_be_copied(mapper):
        return await _copy(session, mapper, alike)
    count = 0
    async for chunk in _chunks(alike):
        await session.execute(insert(kind), chunk)
        count += len(chunk)
    return count


async def upsert(
    session: Queries, kind: type[Any], rows: Rows, *, key: Sequence[Any], update: Sequence[Any]
) -> int:
    """See `Session.upsert`."""
    mapper: Mapper[Any] = kind.__mapper__
    statement = _upserting(
        session.dialect.name,
        mapper,
        [_column(mapper, each) for each in key],
        [_column(mapper, each) for each in update],
    )
    count = 0
    async for chunk in _chunks(_alike(kind, rows)):
        await session.execute(statement, chunk)
        count += len(chunk)
    return count


def _insert_of(dialect: str) -> Any:
    """The dialect's own `insert`. Only that dialect is loaded; all of them are 3 MB."""
    name = "mysql" if dialect == "mariadb" else dialect
    return import_module(f"sqlalchemy.dialects.{name}").insert


def _upserting(
    dialect: str, mapper: Mapper[Any], key: list[Column[Any]], update: list[Column[Any]]
) -> Any:
    table: Any = mapper.local_table
    version = mapper.version_id_col
    # What changes with every update, changes with this one too.
    touched = [c for c in table.columns if c.onupdate is not None and c not in update]
    into = _insert_of(dialect)(mapper.class_)
    new = into.inserted if dialect in {"mysql", "mariadb"} else into.excluded
    changed = {column.name: new[column.name] for column in (*update, *touched)} if update else {}
    if changed and version is not None:
        changed[version.name] = version + 1
    if dialect in {"mysql", "mariadb"}:
        # To set a column to itself is how MySQL leaves a row as it is.
        same = {key[0].name: table.c[key[0].name]}
        return into.on_duplicate_key_update(changed or same)
    if not changed:
        return into.on_conflict_do_nothing(index_elements=key)
    return into.on_conflict_do_update(index_elements=key, set_=changed)


def _column(mapper: Mapper[Any], attribute: Any) -> Column[Any]:
    name = str(getattr(attribute, "key", attribute))
    if name not in mapper.columns:
        raise ModelError(
            f"{mapper.class_.__name__} has no column {name!r}",
            fix=f"name one of {', '.join(mapper.columns.keys())}",
        )
    return mapper.columns[name]


async def _alike(kind: type[Any], rows: Rows) -> AsyncIterator[Row]:
    """The rows, whose columns are those of the first one."""
    first: frozenset[str] | None = None
    at = 0
    async for row in _each(rows):
        if first is None:
            first = frozenset(row)
            for name in first:
                _column(kind.__mapper__, name)
        elif row.keys() != first:
            raise ModelError(
                f"row {at} has other columns than the first: {sorted(row.keys() ^ first)}",
                fix="give every row the same columns, None included",
            )
        at += 1
        yield row


async def _each(rows: Rows) -> AsyncIterator[Row]:
    if isinstance(rows, AsyncIterable):
        async for row in rows:
            yield row
    else:
        for row in rows:
            yield row


async def _chunks(rows: AsyncIterator[Row]) -> AsyncIterator[list[Row]]:
    chunk: list[Row] = []
    async for row in rows:
        chunk.append(row)
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _copies(dialect: Dialect) -> bool:
    """Whether the driver is asyncpg, whose COPY takes values as its statements do."""
    if dialect.name != "postgresql":
        return False
    from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg  # noqa: PLC0415

    return isinstance(dialect, PGDialect_asyncpg)


def _can_be_copied(mapper: Mapper[Any]) -> bool:
    """Whether the rows of a model are one table's, and no default of it is SQL."""
    return len(mapper.tables) == 1 and all(
        column.default is None or column.default.is_scalar or column.default.is_callable
        for column in mapper.columns.values()
    )


async def _copy(session: Queries, mapper: Mapper[Any], rows: AsyncIterator[Row]) -> int:
    """PostgreSQL's COPY, in the same transaction."""
    first = await anext(rows, None)
    if first is None:
        return 0
    defaults = {
        name: column.default
        for name, column in mapper.columns.items()
        if name not in first and column.default is not None
    }
    names = [*first, *defaults]
    columns = [mapper.columns[name] for name in names]
    process = [
        column.type.dialect_impl(session.dialect).bind_processor(session.dialect)
        for column in columns
    ]

    def record(row: Row) -> tuple[Any, ...]:
        values = [*(row[name] for name in first), *(_default(each) for each in defaults.values())]
        return tuple(
            value if one is None else one(value) for one, value in zip(process, values, strict=True)
        )

    async def records() -> AsyncIterator[tuple[Any, ...]]:
        yield record(first)
        async for row in rows:
            yield record(row)

    table: Any = mapper.local_table
    status = await _send(session, table, [column.name for column in columns], records())
    return int(status.rpartition(" ")[2])


def _default(default: Any) -> Any:
    return default.arg(None) if default.is_callable else default.arg


async def _send(session: Queries, table: Any, names: list[str], records: Any) -> str:
    # The driver's adapter begins the transaction with the first statement.
    await session.execute(text("SELECT 1"))
    link: Any = session.unit_link()
    try:
        status: str = await link.raw.driver_connection.copy_records_to_table(
            table.name, records=records, columns=names, schema_name=table.schema
        )
    except Exception as exc:
        raise _as_sqlalchemy(session, link, table.name, exc) from exc
    return status


def _as_sqlalchemy(session: Queries, link: Any, table: str, exc: Exception) -> Exception:
    """The error as any other statement would raise it."""
    kinds = session.dialect.loaded_dbapi.Error
    try:
        link.raw._handle_exception(exc)  # noqa: SLF001  # how the adapter names the driver's errors
    except kinds as named:
        return DBAPIError.instance(f"COPY {table}", None, named, kinds, dialect=session.dialect)
    except Exception as other:  # noqa: BLE001  # not the database's: it is raised as it came
        return other
    return exc
