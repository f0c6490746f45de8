"""A unit that is cancelled anywhere leaves a clean connection or none."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import bindparam, func, literal, text

from mainspring import deadline
from mainspring.data import Database, PoolExhausted, select
from tests.data.busy import busy_connections, slow, until
from tests.data.shop import Customer

if TYPE_CHECKING:
    from collections.abc import Awaitable

# Asks for its own number back: an answer to somebody else's question would show.
ECHO = select((literal(0) + bindparam("number")).label("answer"))


class Wrong(AssertionError):
    """A unit got an answer that was not its own."""


async def _work(database: Database, number: int) -> None:
    async with database.unit(write=number % 2 == 0) as db:
        for step in range(3):
            answer = await db.scalar(ECHO, {"number": number + step})
            if answer != number + step:
                raise Wrong(f"asked for {number + step}, got {answer}")
            await db.execute(slow(database, 0.003))
            if database.engine.dialect.name == "sqlite":
                await asyncio.sleep(0.003)
            if number % 2 == 0:
                db.add(Customer(email=f"{number}-{step}@x"))
                await db.flush()
            await asyncio.sleep(0)


async def _cancelled(database: Database, dice: random.Random, number: int) -> bool:
    task = asyncio.get_running_loop().create_task(_work(database, number))
    await asyncio.sleep(dice.random() * 0.03)
    for _ in range(dice.choice([0, 1, 1, 1, 2])):
        task.cancel()
        await asyncio.sleep(0)
    with contextlib.suppress(asyncio.CancelledError):
        await task
    return task.cancelled()


@pytest.mark.timeout(60)
async def test_hundreds_of_cancellations_at_random_points(database: Database) -> None:
    seed = random.randrange(2**32)
    dice = random.Random(seed)
    cancelled = 0
    for wave in range(40):
        numbers = [1000 * (wave * 10 + i) + dice.randrange(100) for i in range(10)]
        done = await asyncio.gather(*(_cancelled(database, dice, n) for n in numbers))
        cancelled += sum(done)
    assert cancelled > 100, f"seed {seed}: too few to mean anything"

    await until(lambda: database.pool.idle == database.pool.total)
    assert database.pool.total <= database.pool.size
    await until(lambda: _is_zero(busy_connections(database)))
    # Every unit wrote all of its rows or none of them.
    async with database.unit(write=False) as db:
        emails = (await db.scalars(select(Customer.email))).all()
    per_unit: dict[str, int] = {}
    for email in emails:
        number = email.partition("-")[0]
        per_unit[number] = per_unit.get(number, 0) + 1
    assert set(per_unit.values()) <= {3}, f"seed {seed}"
    # All places of the pool can still be used at once.
    units = [database.unit(write=False) for _ in range(database.pool.reading.size)]
    for number, unit in enumerate(units):
        assert await unit.session.scalar(ECHO, {"number": number}) == number
    for unit in units:
        await unit.rollback()
    assert database.pool.reading.idle == database.pool.reading.size


async def _is_zero(count: Awaitable[int]) -> bool:
    return await count == 0


@pytest.mark.parametrize("sleeping", [0.0, 0.001])
async def test_a_unit_that_is_cancelled_between_statements_keeps_its_connection(
    database: Database, sleeping: float
) -> None:
    started = asyncio.Event()

    async def work() -> None:
        async with database.unit() as db:
            db.add(Customer(email="a@x"))
            await db.flush()
            started.set()
            await asyncio.get_running_loop().create_future()

    task = asyncio.get_running_loop().create_task(work())
    await started.wait()
    await asyncio.sleep(sleeping)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert database.pool.idle == database.pool.total == 1
    async with database.unit(write=False) as db:
        assert await db.scalar(select(func.count(Customer.id))) == 0


async def test_a_cancelled_statement_ends_on_the_server(database: Database) -> None:
    started = asyncio.Event()

    async def work() -> None:
        async with database.unit() as db:
            db.add(Customer(email="a@x"))
            await db.flush()
            started.set()
            await db.execute(slow(database, 30))

    task = asyncio.get_running_loop().create_task(work())
    await started.wait()
    if database.engine.dialect.name != "sqlite":
        await until(lambda: _is_one(busy_connections(database)))
    began = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: database.pool.total == database.pool.idle == 0)
    await until(lambda: _is_zero(busy_connections(database)))
    assert time.monotonic() - began < 5
    async with database.unit() as db:
        db.add(Customer(email="a@x"))  # its lock and its row are gone


async def _is_one(count: Awaitable[int]) -> bool:
    return await count == 1


class TestExhaustion:
    async def test_it_is_reported_within_the_bound(self, url: str) -> None:
        async with Database(url, pool_size=1, checkout=timedelta(milliseconds=500)) as small:
            unit = small.unit(write=False)
            await unit.session.execute(text("SELECT 1"))
            began = time.monotonic()
            with pytest.raises(PoolExhausted, match="of 1, 0 were being opened"):
                await small.ping()
            assert 0.4 < time.monotonic() - began < 4
            await unit.rollback()
            await small.ping()
            assert small.pool.total == 1

    async def test_a_nearer_deadline_is_the_bound(self, url: str) -> None:
        async with Database(url, pool_size=1, checkout=timedelta(seconds=60)) as small:
            unit = small.unit(write=False)
            await unit.session.execute(text("SELECT 1"))
            with deadline.within(timedelta(milliseconds=50)), pytest.raises(PoolExhausted):
                await small.ping()
            await unit.rollback()

    async def test_those_who_wait_are_served_in_their_order(self, url: str) -> None:
        served: list[int] = []

        async def work(number: int) -> None:
            async with small.unit(write=False) as db:
                await db.execute(text("SELECT 1"))
                served.append(number)

        async with Database(url, pool_size=1) as small:
            async with small.unit(write=False) as db:
                await db.execute(text("SELECT 1"))
                tasks = []
                for number in range(5):
                    tasks.append(asyncio.get_running_loop().create_task(work(number)))
                    await asyncio.sleep(0)
            await asyncio.gather(*tasks)
            assert served == [0, 1, 2, 3, 4]

    async def test_a_cancelled_waiter_takes_nothing_along(self, url: str) -> None:
        async with Database(url, pool_size=1) as small:
            first = small.unit(write=False)
            await first.session.execute(text("SELECT 1"))
            waiting = [asyncio.get_running_loop().create_task(small.ping()) for _ in range(3)]
            await asyncio.sleep(0)
            waiting[0].cancel()
            await first.rollback()  # hands the connection to the next, who is cancelled now
            waiting[1].cancel()
            await asyncio.wait(waiting)
            assert waiting[2].exception() is None
            assert small.pool.idle == small.pool.total == 1

    async def test_a_cancelled_opening_leaves_a_usable_connection(self, url: str) -> None:
        async with Database(url, pool_size=1) as small:
            task = asyncio.get_running_loop().create_task(small.ping())
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await until(lambda: small.pool.idle == small.pool.total == 1)
            await small.ping()
            assert small.pool.total == 1


async def test_a_connection_that_the_server_closed_is_replaced(database: Database) -> None:
    if database.engine.dialect.name == "sqlite":
        pytest.skip("no server")
    if database.engine.url.drivername.endswith("psycopg"):
        pytest.skip("the pooler keeps its client when the server closes a connection")
    async with database.unit(write=False) as db:
        name = (
            "pg_backend_pid()"
            if database.engine.dialect.name == "postgresql"
            else "connection_id()"
        )
        number = await db.scalar(text(f"SELECT {name}"))
    kill = f"SELECT pg_terminate_backend({number})" if "pg" in name else f"KILL CONNECTION {number}"
    await database.on_connection(lambda c: c.execute(text(kill)))
    (link,) = database.pool.reading._idle
    await until(lambda: not database._backend.is_open(link.raw))
    await database.ping()
    assert database.pool.total == 1
