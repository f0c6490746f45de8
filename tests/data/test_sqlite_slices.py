"""A long statement of SQLite never keeps the event loop from turning, and can be cancelled."""

from __future__ import annotations

import asyncio
import gc
import random
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, ProgrammingError

from mainspring.data import Database, _sqlite_slices, _sqlite_turn, func, select, update
from tests.data.shop import Customer, ShopModel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable
    from pathlib import Path

    from sqlalchemy.engine import Connection

    from mainspring.data import UnitOfWork

COUNT = (
    "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < {})"
    " SELECT count(*), max(x) FROM c"
)
LONG = text(COUNT.format(1_000_000))
ENDLESS = text(COUNT.format(10**12))
ROWS = 20_000


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with Database(f"sqlite:///{tmp_path}/shop.db") as opened:
        await opened.on_connection(_fill)
        yield opened


def _fill(connection: Connection) -> None:
    ShopModel.metadata.create_all(connection)
    connection.execute(
        text(
            "INSERT INTO customers (email, name, created_at, updated_at)"
            f" WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < {ROWS})"
            " SELECT x || '@x', 'nobody', '', '' FROM c"
        )
    )
    connection.commit()


async def turns_during(work: Awaitable[Any]) -> tuple[int, Any]:
    """How often the event loop turned until the work was done, and its result."""
    task = asyncio.ensure_future(work)
    turns = 0
    while not task.done():
        await asyncio.sleep(0)
        turns += 1
    return turns, task.result()


async def _first(database: Database, statement: Any, *, write: bool = False) -> Any:
    async with database.unit(write=write) as db:
        return (await db.execute(statement)).first()


class TestTheLoopTurns:
    async def test_while_a_statement_reads(self, database: Database) -> None:
        turns, row = await turns_during(_first(database, LONG))
        assert tuple(row) == (1_000_000, 1_000_000)
        assert turns > 20

    async def test_while_a_statement_writes(self, database: Database) -> None:
        async def write() -> int:
            async with database.unit() as db:
                name = func.upper(func.hex(func.zeroblob(100)))
                done = await db.execute(update(Customer).values(name=name))
                return int(done.rowcount)  # type: ignore[attr-defined]

        turns, changed = await turns_during(write())
        assert changed == ROWS
        assert turns > 5

    async def test_while_rows_are_fetched(self, database: Database) -> None:
        async def read() -> int:
            async with database.unit(write=False) as db:
                return len((await db.execute(text("SELECT * FROM customers"))).all())

        turns, rows = await turns_during(read())
        assert rows == ROWS
        assert turns > 5

    async def test_while_a_stream_looks_for_its_next_row(self, database: Database) -> None:
        async def read() -> list[Any]:
            async with database.unit(write=False) as db:
                statement = text(COUNT.format(1_000_000) + " UNION ALL SELECT 1, 1")
                return [row async for row in await db.stream(statement)]

        turns, rows = await turns_during(read())
        assert len(rows) == 2
        assert turns > 20

    async def test_and_others_read_and_write_meanwhile(self, database: Database) -> None:
        long = asyncio.ensure_future(_first(database, ENDLESS))
        for number in range(50):
            async with database.unit() as db:
                db.add(Customer(email=f"{number}@y"))
            assert await _first(database, select(Customer.id).where(Customer.id == number + 1))
        assert not long.done()
        long.cancel()
        await asyncio.wait([long])


async def test_a_long_write_of_a_reading_unit_is_suspended_after_it_has_waited_for_its_turn(
    database: Database,
) -> None:
    units: list[UnitOfWork] = []

    async def write() -> None:
        async with database.unit(write=False) as db:
            units.append(db.unit)
            name = func.upper(func.hex(func.zeroblob(100)))
            await db.execute(update(Customer).values(name=name))

    async with database.unit() as other:
        other.add(Customer(email="a@x"))
        await other.flush()
        waiting = asyncio.ensure_future(write())
        for _ in range(5):
            await asyncio.sleep(0.001)
        assert not waiting.done()
    suspended = 0
    while not waiting.done():
        await asyncio.sleep(0)
        link = units[0].link
        suspended += link is not None and link.raw._slices.suspended
    await waiting
    assert suspended > 5


async def test_a_short_statement_does_not_suspend(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a busy machine a short statement may take long.
    monkeypatch.setattr(_sqlite_slices, "_IN_PLACE", 60.0)
    monkeypatch.setattr(_sqlite_turn, "_LONG", 60.0)
    await database.ping()
    unit = database.unit(write=False)
    reading = unit.session.execute(select(Customer.email).where(Customer.id == 7))
    with pytest.raises(StopIteration) as ended:  # it ended in its first step
        reading.send(None)
    assert ended.value.value.scalar_one() == "7@x"
    await unit.rollback()


class TestACancellation:
    async def test_ends_a_statement_that_reads(self, database: Database) -> None:
        task = asyncio.ensure_future(_first(database, ENDLESS))
        for _ in range(20):
            await asyncio.sleep(0.001)
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await _all_idle(database)
        assert await _first(database, select(func.count(Customer.id))) == (ROWS,)

    async def test_undoes_a_statement_that_writes_and_lets_the_next_writer_in(
        self, database: Database
    ) -> None:
        async def write() -> None:
            async with database.unit() as db:
                db.add(Customer(email="a@x"))
                await db.flush()
                # Counts to a million anew for every row.
                await db.execute(
                    text(
                        "UPDATE customers SET name = (WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL"
                        " SELECT x + 1 FROM c WHERE x < 1000000 + id) SELECT count(*) FROM c)"
                    )
                )

        task = asyncio.ensure_future(write())
        for _ in range(20):
            await asyncio.sleep(0.001)
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with database.unit() as db:
            db.add(Customer(email="a@x"))  # neither the row nor the lock is left
        assert await _first(database, select(func.count()).where(Customer.name != "nobody")) == (0,)
        await _all_idle(database)

    async def test_at_any_point_leaves_the_database_whole(self, database: Database) -> None:
        seed = random.randrange(2**32)
        dice = random.Random(seed)
        cancelled = 0

        async def work(number: int) -> None:
            async with database.unit(write=number % 3 == 0) as db:
                await db.execute(text(COUNT.format(dice.randrange(1, 100_000))))
                if number % 3 == 0:
                    await db.execute(update(Customer).values(name=Customer.name + "x"))
                    await db.execute(update(Customer).values(name=func.substr(Customer.name, 2)))
                ordered = select(Customer.id).order_by(Customer.name, Customer.email)
                assert len((await db.execute(ordered)).all()) == ROWS

        async def maybe_cancelled(number: int) -> None:
            nonlocal cancelled
            task = asyncio.ensure_future(work(number))
            await asyncio.sleep(dice.random() * 0.3)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            cancelled += task.cancelled()
            gc.collect(0)

        for wave in range(4):
            await asyncio.gather(*(maybe_cancelled(wave * 10 + i) for i in range(10)))
        assert cancelled > 10, f"seed {seed}: too few to mean anything"
        await _all_idle(database)
        assert await _first(database, text("PRAGMA integrity_check")) == ("ok",)
        # Every unit changed all rows or none.
        assert await _first(database, select(func.count(Customer.name.distinct()))) == (1,)


class TestOneStatementAtATime:
    async def test_a_second_one_is_refused_while_the_first_is_suspended(
        self, database: Database
    ) -> None:
        unit = database.unit(write=False)
        connection = await unit.session.connection()
        raw: Any = (await connection.get_raw_connection()).dbapi_connection
        long = asyncio.ensure_future(connection.execute(ENDLESS))
        while not raw._slices.suspended:
            await asyncio.sleep(0)
        for attempt in (lambda: raw.execute("SELECT 1"), raw.commit, raw.rollback):
            with pytest.raises(Exception, match="still running"):
                attempt()
        long.cancel()
        with pytest.raises(asyncio.CancelledError):
            await long
        await unit.rollback()
        await _all_idle(database)

    async def test_a_connection_that_is_closed_under_a_statement_ends_it(
        self, database: Database
    ) -> None:
        unit = database.unit(write=False)
        connection = await unit.session.connection()
        raw: Any = (await connection.get_raw_connection()).dbapi_connection
        long = asyncio.ensure_future(connection.execute(ENDLESS))
        while not raw._slices.suspended:
            await asyncio.sleep(0)
        raw.close()
        assert not raw.is_open
        with pytest.raises((DBAPIError, ProgrammingError)):
            await long
        await unit.rollback()
        await database.ping()


async def _all_idle(database: Database) -> None:
    for _ in range(1000):
        if database.pool.idle == database.pool.total:
            return
        await asyncio.sleep(0.001)
    pytest.fail("a connection is missing")
