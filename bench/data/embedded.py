"""One subject of P5 in a process of its own: units of work on SQLite, one after the other.

    python -m bench.data.embedded mainspring-hot P5-read 1.5

Prints microseconds per unit, by the clock and of processor time, as JSON.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apsw
from sqlalchemy import event, select, update
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from bench.data import tables
from bench.data.apps.world import WorldOut
from bench.data.tables import World
from mainspring.data import Database, bindparam, hot

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

_KEY = 7
WORKLOADS = ("P5-read", "P5-write", "P5-durable")


@dataclass(frozen=True)
class Units:
    """The unit that reads a row by its key, and the one that changes it."""

    read: Callable[[], Awaitable[Any]]
    write: Callable[[int], Awaitable[object]]


@asynccontextmanager
async def _driver(file: Path, *, durable: bool) -> AsyncIterator[Units]:
    """The same statements by hand: what SQLite itself takes, and the disk."""
    connection = apsw.Connection(str(file))
    connection.execute("PRAGMA journal_mode = WAL").fetchall()
    connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")

    async def read() -> Any:
        sql = "SELECT id, name, email, number, created FROM worlds WHERE id = ?"
        (row,) = connection.execute(sql, (_KEY,)).fetchall()
        return WorldOut(*row)

    async def write(number: int) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE worlds SET number = ? WHERE id = ?", (number, _KEY))
        connection.execute("COMMIT")

    yield Units(read, write)
    connection.close()


@asynccontextmanager
async def _hot(file: Path, *, durable: bool) -> AsyncIterator[Units]:
    by_id = hot(select(World).where(World.id == bindparam("id")), WorldOut)
    change = hot(
        update(World).where(World.id == bindparam("key")).values(number=bindparam("value"))
    )
    async with Database(_url(file, durable=durable)) as database:

        async def read() -> Any:
            async with database.unit(write=False) as db:
                return await db.one(by_id, id=_KEY)

        async def write(number: int) -> None:
            async with database.unit() as db:
                await db.run(change, key=_KEY, value=number)

        yield Units(read, write)


@asynccontextmanager
async def _orm(file: Path, *, durable: bool) -> AsyncIterator[Units]:
    async with Database(_url(file, durable=durable)) as database:

        async def read() -> Any:
            async with database.unit(write=False) as db:
                return await db.get(World, _KEY)

        async def write(number: int) -> None:
            async with database.unit() as db:
                found = await db.get(World, _KEY)
                found.number = number

        yield Units(read, write)


@asynccontextmanager
async def _aiosqlite(file: Path, *, durable: bool) -> AsyncIterator[Units]:
    """SQLAlchemy's own way, with the same settings of SQLite."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{file}")
    sessions = async_sessionmaker(engine, expire_on_commit=False)

    @event.listens_for(engine.sync_engine, "connect")
    def _settings(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")

    async def read() -> Any:
        async with sessions() as session:
            return await session.get(World, _KEY)

    async def write(number: int) -> None:
        async with sessions() as session, session.begin():
            found = await session.get(World, _KEY)
            found.number = number

    yield Units(read, write)
    await engine.dispose()


SUBJECTS = {
    "apsw": _driver,
    "mainspring-hot@sqlite": _hot,
    "mainspring-orm@sqlite": _orm,
    "sqlalchemy+aiosqlite": _aiosqlite,
}


def _url(file: Path, *, durable: bool) -> str:
    return f"sqlite:///{file}{'?synchronous=full' if durable else ''}"


async def _measured(name: str, workload: str, seconds: float) -> dict[str, float]:
    # Beside the code, because a folder for temporary files often has no disk under it.
    folder = tables.sqlite_path().parent
    with tempfile.TemporaryDirectory(dir=folder) as place:
        file = Path(place, "units.db")
        async with Database(f"sqlite:///{file}") as database:
            await database.on_connection(tables.fill)
        async with SUBJECTS[name](file, durable=workload == "P5-durable") as units:
            found = await units.read()
            assert (found.id, found.name, found.number) == (_KEY, "World 7", 49), found
            if workload == "P5-read":
                return await _timed(lambda _: units.read(), seconds)
            return await _written(units, file, seconds)


async def _written(units: Units, file: Path, seconds: float) -> dict[str, float]:
    figures = await _timed(units.write, seconds)
    await units.write(12_345)
    other = apsw.Connection(str(file))
    ((number,),) = other.execute("SELECT number FROM worlds WHERE id = ?", (_KEY,)).fetchall()
    assert number == 12_345, number
    return figures


async def _timed(unit: Callable[[int], Awaitable[object]], seconds: float) -> dict[str, float]:
    for number in range(200):
        await unit(number)
    done, until = 0, time.perf_counter() + seconds
    began, used = time.perf_counter(), time.process_time()
    while time.perf_counter() < until:
        for number in range(50):
            await unit(number)
        done += 50
    took, cpu = time.perf_counter() - began, time.process_time() - used
    return {"wall_us": took / done * 1e6, "cpu_us": cpu / done * 1e6}


def main(arguments: list[str]) -> None:
    """Measure and print."""
    import uvloop

    name, workload, seconds = arguments
    print(json.dumps(uvloop.run(_measured(name, workload, float(seconds)))))


if __name__ == "__main__":
    main(sys.argv[1:])
