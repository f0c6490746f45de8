"""What every backend promises under strain: D3, D4, D8 and D13 of the list of failures."""

from __future__ import annotations

import asyncio
import os
import random
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, text

from mainspring import deadline
from mainspring.auth import anyone
from mainspring.data import Database, PoolExhausted, Session, func, select, update
from tests.data.busy import busy_connections, until
from tests.data.shop import Customer, Order, ShopModel
from tests.http.direct import application, ask, value

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlalchemy.engine import Connection

SOAK_SECONDS = float(os.environ.get("SOAK_SECONDS", "2"))


class TestAHandlerThatIsCancelledInTheMiddleOfAFlush:
    """D3: the connection is clean, or gone."""

    async def test_at_every_one_of_its_statements(self, database: Database) -> None:
        for at in range(1, 7):
            backend = await _cancelled_at(database, at)
            await until(lambda: database.pool.idle == database.pool.total)
            await until(lambda: _none_busy(database))
            async with database.unit() as db:
                assert await db.scalar(select(func.count(Customer.id))) == 0
                assert await db.scalar(select(func.count(Order.id))) == 0
                db.add(Customer(email="a@x"))
                await db.flush()  # its keys are not locked by anybody
                await db.rollback()
            assert backend is None or not await _in_transaction(database, backend)


async def _cancelled_at(database: Database, at: int) -> int | None:
    """Cancel a flush while its statement of this number runs; what the server calls it."""
    task = asyncio.current_task()
    assert task is not None
    seen = 0
    backend: int | None = None

    def cancel(*_: Any) -> None:
        nonlocal seen
        seen += 1
        if seen == at:
            working.cancel()

    async def work() -> None:
        nonlocal backend
        async with database.unit() as db:
            backend = await _backend(database, db)
            event.listen(database.engine, "before_cursor_execute", cancel)
            for number in range(3):
                db.add(Customer(email=f"{number}@x", orders=[Order() for _ in range(3)]))
                await db.flush()
                await asyncio.sleep(0)

    working = asyncio.ensure_future(work())
    try:
        await asyncio.wait([working])
    finally:
        event.remove(database.engine, "before_cursor_execute", cancel)
    assert working.cancelled()
    return backend


async def _backend(database: Database, db: Session) -> int | None:
    names = {"postgresql": "pg_backend_pid()", "mysql": "connection_id()"}
    name = names.get(database.engine.dialect.name)
    return None if name is None else await db.scalar(text(f"SELECT {name}"))


async def _in_transaction(database: Database, backend: int) -> bool:
    sql = (
        f"SELECT count(*) FROM pg_stat_activity WHERE pid = {backend} AND state <> 'idle'"
        f" AND pid <> pg_backend_pid()"
        if database.engine.dialect.name == "postgresql"
        else f"SELECT count(*) FROM information_schema.innodb_trx"
        f" WHERE trx_mysql_thread_id = {backend} AND trx_mysql_thread_id <> connection_id()"
    )
    found = await database.on_connection(lambda c: c.execute(text(sql)).scalar_one())
    return bool(found)


async def _none_busy(database: Database) -> bool:
    return await busy_connections(database) == 0


class TestAPoolThatIsExhausted:
    """D4: those who wait get an answer."""

    async def test_answers_503_with_a_time_to_come_again(self, url: str) -> None:
        app = application(database_url=url)

        @app.get("/", allow=anyone)
        async def read(db: Session) -> int:
            return await db.scalar(text("SELECT 1")) or 0

        async with app.running():
            database = app._database = Database(
                url, pool_size=2, checkout=timedelta(milliseconds=100)
            )
            app._core = None
            app.compile()
            units = [database.unit(write=False) for _ in range(2)]
            for unit in units:
                await unit.session.execute(text("SELECT 1"))
            answers = await asyncio.gather(*(ask(app, "GET", "/") for _ in range(10)))
            assert {answer.status for answer in answers} == {503}
            assert {value(answer)["type"] for answer in answers} == {PoolExhausted.code}
            assert all((b"retry-after", b"1") in answer.headers for answer in answers)
            for unit in units:
                await unit.rollback()
            answers = await asyncio.gather(*(ask(app, "GET", "/") for _ in range(10)))
            assert {answer.status for answer in answers} == {200}
            assert database.pool.total <= 2


class TestAClockThatJumps:
    """D13: spans are measured by the clock that nobody sets."""

    @pytest.mark.parametrize("jump", [-86_400.0, 86_400.0])
    async def test_moves_no_deadline_and_ages_no_connection(
        self, database: Database, jump: float, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await database.ping()
        (link,) = database.pool.reading._idle
        real = time.time
        with deadline.within(timedelta(seconds=60)):
            monkeypatch.setattr(time, "time", lambda: real() + jump)
            assert 0 < (deadline.remaining() or 0) <= 60
            await database.ping()
            assert database.pool.reading._idle == [link]  # neither too old nor too young
            async with database.unit() as db:
                db.add(Customer(email="a@x"))
            async with database.unit() as db:
                await db.execute(update(Customer).values(name="b"))
        assert database.pool.idle == database.pool.total


class TestWritersAndReadersOfOneFile:
    """D8: twenty write and a hundred read; SOAK_SECONDS says for how long."""

    @pytest.mark.timeout(SOAK_SECONDS + 60)
    async def test_nobody_is_refused_and_the_log_stays_bounded(self, tmp_path: Path) -> None:
        path = tmp_path / "soak.db"
        ends = time.monotonic() + SOAK_SECONDS
        log = 0
        async with Database(f"sqlite:///{path}") as database:
            await database.on_connection(_make)

            def going() -> bool:
                nonlocal log
                log = max(log, path.with_name("soak.db-wal").stat().st_size)
                return time.monotonic() < ends

            written = await asyncio.gather(*(_write(database, n, going) for n in range(20)))
            assert all(written)

        async with Database(f"sqlite:///{path}") as database:
            assert await _customers(database) == 20
            async with database.unit(write=False) as db:
                assert await db.scalar(select(func.sum(Order.total))) == sum(written)
                assert await db.scalar(text("PRAGMA integrity_check")) == "ok"
        print(f"{sum(written)} units written, log of at most {log:,} bytes")
        assert log < 128 * 1024 * 1024


async def _write(database: Database, number: int, going: Callable[[], bool]) -> int:
    """One writer, and the five readers beside it; how many units it committed."""
    async with database.unit() as db:
        customer = Customer(email=f"{number}@x", orders=[Order(total=0)])
        db.add(customer)
    order = customer.orders[0].id
    units = 0
    readers = [asyncio.ensure_future(_read(database, going)) for _ in range(5)]
    while going():
        async with database.unit() as db:
            await db.execute(update(Order).where(Order.id == order).values(total=Order.total + 1))
        units += 1
        await asyncio.sleep(random.random() * 0.01)
    await asyncio.gather(*readers)
    return units


async def _read(database: Database, going: Callable[[], bool]) -> None:
    while going():
        async with database.unit(write=False) as db:
            first = await db.scalar(select(func.sum(Order.total)))
            await asyncio.sleep(0)
            # One snapshot for the whole unit.
            assert await db.scalar(select(func.sum(Order.total))) == first
        await asyncio.sleep(random.random() * 0.02)


async def _customers(database: Database) -> int:
    async with database.unit(write=False) as db:
        return await db.scalar(select(func.count(Customer.id))) or 0


def _make(connection: Connection) -> None:
    ShopModel.metadata.create_all(connection)
    connection.commit()
