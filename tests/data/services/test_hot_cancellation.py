"""Hot statements that take long: cancelled as any other, and never in the way of the loop."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import literal

from mainspring.data import Database, bindparam, func, hot, insert, select
from tests.data.busy import busy_connections, until
from tests.data.shop import Customer

add = hot(insert(Customer))
count = hot(select(func.count(Customer.id)))


def _counting(rows: int) -> Any:
    """A statement that only reads, and needs a tenth of a microsecond and more for each row."""
    numbers = select(literal(1).label("x")).cte("numbers", recursive=True)
    numbers = numbers.union_all(
        select(numbers.c.x + 1).where(numbers.c.x < bindparam("rows", rows))
    )
    return hot(select(func.count()).select_from(numbers))


def _slow(database: Database, seconds: int) -> Any:
    match database.engine.dialect.name:
        case "postgresql":
            return hot(select(func.pg_sleep(seconds)))
        case "sqlite":
            return _counting(seconds * 10_000_000)
        case _:
            return hot(select(func.sleep(seconds)))


@pytest.mark.parametrize("write", [False, True], ids=["reading", "writing"])
async def test_a_cancelled_one_ends_on_the_server(database: Database, write: bool) -> None:
    slow = _slow(database, 20)

    async def work() -> None:
        async with database.unit(write=write) as db:
            if write:
                await db.run(add, email="a@x")
            await db.all(slow)

    task = asyncio.create_task(work())
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)
    await until(lambda: database.pool.idle == database.pool.total)

    async def nobody() -> bool:
        return await busy_connections(database) == 0

    await until(nobody)
    async with database.unit() as db:
        assert await db.one(count) == 0
        await db.run(add, email="a@x")
        assert await db.one(count) == 1


@pytest.mark.parametrize("inside", [False, True], ids=["before a write", "after a write"])
async def test_a_long_read_of_sqlite_lets_the_loop_turn(
    url: str, database: Database, inside: bool
) -> None:
    if not url.startswith("sqlite"):
        pytest.skip("elsewhere the server works and the loop waits")
    turns = 0
    done = False

    async def turn() -> None:
        nonlocal turns
        while not done:
            turns += 1
            await asyncio.sleep(0)

    turning = asyncio.create_task(turn())
    rows = 1_000_000
    async with database.unit(write=inside) as db:
        if inside:
            await db.run(add, email="a@x")
        assert await db.one(_counting(rows)) == rows
        assert await db.one(count) == int(inside)
    done = True
    await turning
    assert turns > 20
