from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, func, text
from sqlalchemy.exc import DBAPIError

from mainspring import telemetry
from mainspring.data import Database, IntegrityError, UnitEnded, select, update
from tests.data.shop import Customer, Order

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def failures() -> Iterator[list[telemetry.Event]]:
    seen: list[telemetry.Event] = []
    stop = telemetry.subscribe(lambda event: seen.append(event) if event.error else None)
    yield seen
    stop()


async def _emails(database: Database) -> list[str]:
    async with database.unit(write=False) as db:
        return list((await db.scalars(select(Customer.email).order_by(Customer.email))).all())


class TestNothingIsOpenedBeforeItIsUsed:
    async def test_a_unit_opens_nothing(self, database: Database) -> None:
        unit = database.unit()
        assert not unit.opened
        await unit.commit()
        assert database.pool.total == 0

    async def test_a_session_takes_no_connection(self, database: Database) -> None:
        unit = database.unit()
        unit.session.add(Customer(email="a@x"))
        assert unit.opened
        assert database.pool.total == 0
        await unit.rollback()
        assert database.pool.total == 0
        assert await _emails(database) == []

    async def test_a_bad_url_fails_when_it_is_used(self) -> None:
        from mainspring.data import DatabaseUnavailable

        async with Database("postgresql://root@127.0.0.1:1/none") as nowhere:
            with pytest.raises(DatabaseUnavailable, match=r"127\.0\.0\.1"):
                await nowhere.ping()
            assert nowhere.pool.total == 0


class TestCommit:
    async def test_it_is_seen_by_others_only_afterwards(self, database: Database) -> None:
        unit = database.unit()
        unit.session.add(Customer(email="a@x"))
        await unit.session.flush()
        assert await _emails(database) == []
        await unit.commit()
        assert await _emails(database) == ["a@x"]

    async def test_objects_stay_readable(self, database: Database) -> None:
        async with database.unit() as db:
            customer = Customer(email="a@x")
            db.add(customer)
        assert (customer.email, customer.name) == ("a@x", "nobody")
        assert customer.id > 0

    async def test_objects_may_go_to_another_unit(self, database: Database) -> None:
        gc.disable()  # nothing may depend on when the old session is collected
        try:
            async with database.unit() as db:
                customer = Customer(email="a@x")
                db.add(customer)
            async with database.unit() as db:
                db.add(customer)
                customer.name = "changed"
        finally:
            gc.enable()
        async with database.unit(write=False) as db:
            assert await db.scalar(select(Customer.name)) == "changed"

    async def test_a_failing_one_writes_nothing_and_leaves_the_pool_whole(
        self, database: Database
    ) -> None:
        unit = database.unit()
        unit.session.add_all([Customer(email="a@x"), Customer(email="a@x")])
        with pytest.raises(IntegrityError):
            await unit.commit()
        assert database.pool.idle == database.pool.total == 1
        assert await _emails(database) == []

    async def test_the_middle_of_a_unit_may_commit(self, database: Database) -> None:
        told: list[str] = []
        async with database.unit() as db:
            db.add(Customer(email="a@x"))
            db.unit.after_commit(lambda: told.append("first"))
            await db.commit()
            assert told == ["first"]
            assert await _emails(database) == ["a@x"]
            db.add(Customer(email="b@x"))
            await db.rollback()
            db.add(Customer(email="c@x"))
        assert await _emails(database) == ["a@x", "c@x"]
        assert told == ["first"]

    async def test_a_session_cannot_be_used_after_its_unit(self, database: Database) -> None:
        async with database.unit() as db:
            await db.execute(text("SELECT 1"))
        with pytest.raises(UnitEnded):
            await db.execute(text("SELECT 1"))


class TestRollback:
    async def test_nothing_is_left(self, database: Database) -> None:
        async def fail() -> None:
            async with database.unit() as db:
                db.add(Customer(email="a@x"))
                await db.flush()
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await fail()
        assert database.pool.idle == database.pool.total == 1
        assert await _emails(database) == []

    async def test_a_savepoint_rolls_back_alone(self, database: Database) -> None:
        async with database.unit() as db:
            db.add(Customer(email="a@x"))
            await db.flush()
            with pytest.raises(IntegrityError):
                async with db.begin_nested():
                    db.add(Customer(email="a@x"))
            async with db.begin_nested():
                db.add(Customer(email="b@x"))
        assert await _emails(database) == ["a@x", "b@x"]

    async def test_a_statement_that_fails_leaves_the_next_unit_alone(
        self, database: Database
    ) -> None:
        for _ in range(3):
            with pytest.raises(DBAPIError):
                async with database.unit() as db:
                    await db.execute(text("SELECT * FROM nowhere"))
            assert await _emails(database) == []
        assert database.pool.idle == database.pool.total <= 2

    async def test_a_rollback_on_a_dead_connection_is_a_rollback(
        self, database: Database, failures: list[telemetry.Event]
    ) -> None:
        unit = database.unit()
        await unit.session.execute(text("SELECT 1"))
        assert unit._link is not None
        raw = unit._link.raw.driver_connection
        if hasattr(raw, "terminate"):
            raw.terminate()
        elif hasattr(raw, "pgconn"):
            raw.pgconn.finish()
        else:
            raw.close()
        await unit.rollback()
        assert await _emails(database) == []
        assert database.pool.idle == 1


class TestHooks:
    async def test_they_run_after_the_commit_in_their_order(self, database: Database) -> None:
        told: list[Any] = []
        unit = database.unit()
        unit.session.add(Customer(email="a@x"))

        async def look() -> None:
            told.append(await _emails(database))

        unit.after_commit(lambda: told.append("plain"))
        unit.after_commit(look)
        assert told == []
        await unit.commit()
        assert told == ["plain", ["a@x"]]

    async def test_they_run_without_any_data(self, database: Database) -> None:
        told: list[str] = []
        unit = database.unit()
        unit.after_commit(lambda: told.append("x"))
        await unit.commit()
        assert told == ["x"]

    async def test_they_do_not_run_after_a_rollback(self, database: Database) -> None:
        told: list[str] = []
        unit = database.unit()
        unit.after_commit(lambda: told.append("x"))
        await unit.rollback()
        assert told == []

    async def test_they_do_not_run_after_a_failed_commit(self, database: Database) -> None:
        told: list[str] = []
        unit = database.unit()
        unit.session.add(Order(customer_id=4711))
        unit.after_commit(lambda: told.append("x"))
        with pytest.raises(IntegrityError):
            await unit.commit()
        assert told == []

    async def test_a_failing_one_is_reported_and_stops_nobody(
        self, database: Database, failures: list[telemetry.Event]
    ) -> None:
        told: list[str] = []

        async def fail() -> None:
            raise LookupError("gone")

        async with database.unit() as db:
            db.add(Customer(email="a@x"))
            db.unit.after_commit(fail)
            db.unit.after_commit(lambda: told.append("after"))
        assert told == ["after"]
        assert [(e.name, type(e.error)) for e in failures] == [("data.after_commit", LookupError)]
        assert await _emails(database) == ["a@x"]

    async def test_they_run_although_the_task_was_cancelled_during_the_commit(
        self, database: Database
    ) -> None:
        told: list[str] = []
        unit = database.unit()
        unit.session.add(Customer(email="a@x"))
        await unit.session.flush()
        unit.after_commit(lambda: told.append("x"))
        task = asyncio.get_running_loop().create_task(unit.commit())
        while not task.done() and unit._link is not None and not told:
            await asyncio.sleep(0)
            task.cancel()
        await asyncio.wait([task])
        # Cancelled before COMMIT was sent: nothing. Later: everything, the hooks included.
        assert told == (["x"] if await _emails(database) else [])
        await unit.rollback()


class TestOneUnitIsOneConnectionAndOneTransaction:
    async def test_all_statements_go_over_one_connection(self, database: Database) -> None:
        used: list[Any] = []
        event.listen(
            database.engine,
            "before_cursor_execute",
            lambda connection, *_: used.append(connection),
        )
        async with database.unit() as db:
            db.add(Customer(email="a@x"))
            await db.flush()
            await db.execute(select(Customer))
            await db.execute(update(Customer).values(name="x"))
            assert database.pool.idle == 0
        assert len(used) == 3
        assert len(set(used)) == 1

    async def test_units_side_by_side_have_one_each(self, database: Database) -> None:
        first, second = database.unit(write=False), database.unit(write=False)
        await first.session.execute(text("SELECT 1"))
        await second.session.execute(text("SELECT 1"))
        assert database.pool.total == 2
        await first.rollback()
        await second.rollback()
        assert database.pool.idle == 2

    async def test_a_connection_is_used_again(self, database: Database) -> None:
        for _ in range(20):
            assert await _emails(database) == []
        assert database.pool.total == 1


async def test_ping_answers(database: Database) -> None:
    await database.ping()


async def test_a_reading_unit_may_write(database: Database) -> None:
    async with database.unit(write=False) as db:
        db.add(Customer(email="a@x"))
    assert await _emails(database) == ["a@x"]


async def test_relations_load_in_one_query_each(database: Database) -> None:
    from mainspring.data import selectinload

    async with database.unit() as db:
        db.add_all([Customer(email=f"{i}@x", orders=[Order(), Order()]) for i in range(3)])
    async with database.unit(write=False) as db:
        found = (await db.scalars(select(Customer).options(selectinload(Customer.orders)))).all()
        assert [len(customer.orders) for customer in found] == [2, 2, 2]
        assert await db.scalar(select(func.count(Order.id))) == 6


async def test_rows_can_be_streamed(database: Database) -> None:
    async with database.unit() as db:
        db.add_all([Customer(email=f"{i:04d}@x") for i in range(500)])
    seen: list[str] = []
    async with database.unit(write=False) as db:
        statement = select(Customer.email).order_by(Customer.email)
        async for email in await db.stream_scalars(statement):
            seen.append(email)  # noqa: PERF401  # a comprehension would hide what is tested
    assert seen == [f"{i:04d}@x" for i in range(500)]
    assert database.pool.idle == database.pool.total
