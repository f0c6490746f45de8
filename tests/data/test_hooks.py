from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mainspring import telemetry
from mainspring.data import Database, IntegrityError, func, select
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


class TestBeforeCommit:
    async def test_what_it_writes_is_committed_with_the_rest(self, database: Database) -> None:
        async with database.unit() as db:
            db.add(Customer(email="a@x"))
            db.unit.before_commit(lambda: db.add(Customer(email="b@x")))
        assert await _emails(database) == ["a@x", "b@x"]

    async def test_it_sees_what_the_unit_has_written(self, database: Database) -> None:
        seen: list[Any] = []
        async with database.unit() as db:
            db.add(customer := Customer(email="a@x"))

            async def look() -> None:
                seen.extend([customer.id, await db.scalar(select(func.count(Customer.id)))])

            db.unit.before_commit(look)
        assert seen == [customer.id, 1]

    async def test_its_error_undoes_everything_and_is_the_callers(self, database: Database) -> None:
        told: list[str] = []

        async def refuse() -> None:
            raise LookupError("not like this")

        unit = database.unit()
        unit.session.add(Customer(email="a@x"))
        unit.before_commit(refuse)
        unit.after_commit(lambda: told.append("committed"))
        unit.after_rollback(lambda: told.append("rolled back"))
        with pytest.raises(LookupError):
            await unit.commit()
        assert told == ["rolled back"]
        assert await _emails(database) == []
        assert database.pool.idle == database.pool.total

    async def test_what_it_writes_may_break_a_constraint(self, database: Database) -> None:
        unit = database.unit()
        unit.session.add(Customer(email="a@x"))
        unit.before_commit(lambda: unit.session.add(Order(customer_id=4711)))
        with pytest.raises(IntegrityError):
            await unit.commit()
        assert await _emails(database) == []

    async def test_it_may_register_another(self, database: Database) -> None:
        told: list[str] = []
        unit = database.unit()

        def first() -> None:
            told.append("first")
            unit.before_commit(lambda: told.append("second"))
            unit.after_commit(lambda: told.append("third"))

        unit.before_commit(first)
        await unit.commit()
        assert told == ["first", "second", "third"]

    async def test_it_opens_the_session_if_nobody_has(self, database: Database) -> None:
        unit = database.unit()
        unit.before_commit(lambda: unit.session.add(Customer(email="a@x")))
        await unit.commit()
        assert await _emails(database) == ["a@x"]

    async def test_it_runs_once_for_each_commit_that_it_was_registered_for(
        self, database: Database
    ) -> None:
        told: list[str] = []
        async with database.unit() as db:
            db.unit.before_commit(lambda: told.append("x"))
            await db.commit()
            assert told == ["x"]
        assert told == ["x"]

    async def test_a_rollback_forgets_it(self, database: Database) -> None:
        told: list[str] = []
        async with database.unit() as db:
            db.unit.before_commit(lambda: told.append("x"))
            await db.rollback()
        assert told == []


class TestAfterRollback:
    async def test_it_runs_when_the_data_is_undone(self, database: Database) -> None:
        seen: list[Any] = []

        async def look() -> None:
            seen.append(await _emails(database))

        unit = database.unit()
        unit.session.add(Customer(email="a@x"))
        await unit.session.flush()
        unit.after_rollback(look)
        await unit.rollback()
        assert seen == [[]]
        await unit.rollback()
        assert seen == [[]]

    async def test_a_commit_forgets_it(self, database: Database) -> None:
        told: list[str] = []
        async with database.unit() as db:
            db.add(Customer(email="a@x"))
            db.unit.after_rollback(lambda: told.append("x"))
        assert told == []

    async def test_it_runs_after_a_commit_that_failed(self, database: Database) -> None:
        told: list[str] = []
        unit = database.unit()
        unit.session.add(Order(customer_id=4711))
        unit.after_rollback(lambda: told.append("x"))
        with pytest.raises(IntegrityError):
            await unit.commit()
        assert told == ["x"]

    async def test_a_failing_one_is_reported_and_stops_nobody(
        self, database: Database, failures: list[telemetry.Event]
    ) -> None:
        told: list[str] = []

        async def fail() -> None:
            raise LookupError("gone")

        unit = database.unit()
        unit.after_rollback(fail)
        unit.after_rollback(lambda: told.append("after"))
        await unit.rollback()
        assert told == ["after"]
        assert [(e.name, type(e.error)) for e in failures] == [("data.after_rollback", LookupError)]


class TestSavepoints:
    """What a savepoint undoes takes its hooks along."""

    async def test_one_that_is_undone_forgets_its_hooks(self, database: Database) -> None:
        told: list[str] = []
        async with database.unit() as db:
            unit = db.unit
            db.add(Customer(email="a@x"))
            unit.before_commit(lambda: told.append("before"))
            unit.after_commit(lambda: told.append("after"))
            with pytest.raises(ZeroDivisionError):
                async with unit.savepoint():
                    db.add(Customer(email="b@x"))
                    unit.before_commit(lambda: told.append("undone before"))
                    unit.after_commit(lambda: told.append("undone after"))
                    unit.after_rollback(lambda: told.append("compensated"))
                    raise ZeroDivisionError
            assert told == []
        assert told == ["before", "compensated", "after"]
        assert await _emails(database) == ["a@x"]

    async def test_one_that_is_kept_keeps_them(self, database: Database) -> None:
        told: list[str] = []
        async with database.unit() as db, db.unit.savepoint():
            db.add(Customer(email="a@x"))
            db.unit.after_commit(lambda: told.append("after"))
            db.unit.after_rollback(lambda: told.append("never"))
        assert told == ["after"]
        assert await _emails(database) == ["a@x"]

    async def test_the_outer_one_undoes_the_inner_ones_too(self, database: Database) -> None:
        told: list[str] = []
        async with database.unit() as db:
            with pytest.raises(ZeroDivisionError):
                async with db.unit.savepoint():
                    async with db.unit.savepoint():
                        db.add(Customer(email="a@x"))
                        db.unit.after_commit(lambda: told.append("inner"))
                    raise ZeroDivisionError
        assert told == []
        assert await _emails(database) == []

    async def test_a_constraint_that_breaks_undoes_only_the_savepoint(
        self, database: Database
    ) -> None:
        async with database.unit() as db:
            db.add(Customer(email="a@x"))
            for email in ("b@x", "a@x", "c@x", "b@x"):
                try:
                    async with db.unit.savepoint():
                        db.add(Customer(email=email))
                except IntegrityError:
                    continue
        assert await _emails(database) == ["a@x", "b@x", "c@x"]

    async def test_a_rollback_of_the_unit_undoes_those_that_were_kept(
        self, database: Database
    ) -> None:
        told: list[str] = []
        unit = database.unit()
        async with unit.savepoint():
            unit.session.add(Customer(email="a@x"))
            unit.after_rollback(lambda: told.append("x"))
        await unit.rollback()
        assert told == ["x"]
        assert await _emails(database) == []
