"""Units that the database has ended for the sake of others are done again, boundedly."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from mainspring import telemetry
from mainspring.data import (
    Contended,
    Database,
    IntegrityError,
    Retry,
    Session,
    SnapshotOutdated,
    func,
    select,
    update,
)
from mainspring.data._retry import pause_before
from tests.data.shop import Customer, Order

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS = 4


@pytest.fixture
def retries() -> Iterator[list[telemetry.Event]]:
    seen: list[telemetry.Event] = []
    stop = telemetry.subscribe(lambda e: seen.append(e) if e.name == "data.retry" else None)
    yield seen
    stop()


@pytest.fixture
async def accounts(database: Database) -> list[int]:
    """Ids of orders, whose totals are money."""
    async with database.unit() as db:
        customer = Customer(email="a@x", orders=[Order(total=1000) for _ in range(ROWS)])
        db.add(customer)
    return [order.id for order in customer.orders]


def _is(database: Database, *names: str) -> bool:
    return database.engine.dialect.name in names


class TestThePause:
    @given(
        attempt=st.integers(2, 9),
        of=st.integers(1, 9),
        reason=st.sampled_from(Retry),
        jitter=st.floats(0, 1),
        left=st.none() | st.floats(0, 10),
    )
    def test_is_bounded_by_the_attempts_and_by_the_deadline(
        self, attempt: int, of: int, reason: Retry, jitter: float, left: float | None
    ) -> None:
        pause = pause_before(attempt, of=of, reason=reason, jitter=jitter, left=left)
        if pause is None:
            assert attempt > of or left is not None
        else:
            assert attempt <= of
            assert 0 <= pause <= 0.015 * 2 ** (attempt - 2)
            assert left is None or pause < left

    def test_grows_with_each_attempt_and_differs_between_those_who_met(self) -> None:
        pauses = [
            pause_before(a, of=9, reason=Retry.DEADLOCK, jitter=0.5, left=None) for a in (2, 3, 4)
        ]
        assert pauses == sorted(pauses)  # type: ignore[type-var]
        low, high = (
            pause_before(2, of=9, reason=Retry.DEADLOCK, jitter=jitter, left=None)
            for jitter in (0.0, 1.0)
        )
        assert low is not None
        assert high == 3 * low


class TestADeadlock:
    async def test_is_resolved_by_doing_one_of_the_two_again(
        self, database: Database, accounts: list[int], retries: list[telemetry.Event]
    ) -> None:
        one, other = asyncio.Event(), asyncio.Event()

        async def both(db: Session, first: int, second: int, mine: Any, theirs: Any) -> None:
            await db.execute(_add(first, 1))
            mine.set()
            if not _is(database, "sqlite"):  # there the second waits until the first has ended
                await theirs.wait()
            await db.execute(_add(second, 1))

        a, b, *_ = accounts
        await asyncio.gather(
            database.retrying(lambda db: both(db, a, b, one, other)),
            database.retrying(lambda db: both(db, b, a, other, one)),
        )
        assert await _totals(database) == [1002, 1002, 1000, 1000]
        reasons = [event.facts["reason"] for event in retries]
        assert reasons == ([] if _is(database, "sqlite") else ["deadlock"])

    async def test_within_a_savepoint_is_one_too(
        self, database: Database, accounts: list[int]
    ) -> None:
        one, other = asyncio.Event(), asyncio.Event()

        async def both(db: Session, first: int, second: int, mine: Any, theirs: Any) -> None:
            async with db.unit.savepoint():
                await db.execute(_add(first, 1))
                mine.set()
                if not _is(database, "sqlite"):
                    await theirs.wait()
                async with db.unit.savepoint():
                    await db.execute(_add(second, 1))

        a, b, *_ = accounts
        await asyncio.gather(
            database.retrying(lambda db: both(db, a, b, one, other)),
            database.retrying(lambda db: both(db, b, a, other, one)),
        )
        assert await _totals(database) == [1002, 1002, 1000, 1000]

    @pytest.mark.timeout(60)
    async def test_a_storm_of_them_ends_and_loses_nothing(
        self, database: Database, accounts: list[int], retries: list[telemetry.Event]
    ) -> None:
        seed = random.randrange(2**32)
        dice = random.Random(seed)
        attempts = 0

        async def transfer(db: Session, first: int, second: int) -> None:
            nonlocal attempts
            attempts += 1
            await db.execute(_add(first, -1))
            await asyncio.sleep(0)
            await db.execute(_add(second, 1))

        async def client() -> tuple[int, int]:
            done = given_up = 0
            for _ in range(15):
                pair = dice.sample(accounts, 2)
                try:
                    await database.retrying(lambda db, p=pair: transfer(db, *p), attempts=5)  # type: ignore[misc]
                    done += 1
                except Contended:
                    given_up += 1
            return done, given_up

        results = await asyncio.gather(*(client() for _ in range(4)))
        done, given_up = (sum(each) for each in zip(*results, strict=True))
        assert done + given_up == 60, f"seed {seed}"
        assert done > given_up
        assert sum(await _totals(database)) == ROWS * 1000
        again = sum(event.facts["again"] for event in retries)
        assert attempts == 60 + again
        assert max((event.facts["attempt"] for event in retries), default=1) <= 5
        assert database.pool.idle == database.pool.total


class TestASerializationConflict:
    async def test_is_resolved_by_doing_it_again(
        self, database: Database, accounts: list[int], retries: list[telemetry.Event]
    ) -> None:
        if not _is(database, "postgresql"):
            pytest.skip("the others lock what they will write, or wait in line")

        async def add_to_all(db: Session) -> None:
            await db.execute(text("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"))
            total = await db.scalar(select(func.sum(Order.total)))
            await asyncio.sleep(0.005)
            await db.execute(_add(accounts[0], int(total or 0)))

        await asyncio.gather(*(database.retrying(add_to_all, attempts=20) for _ in range(3)))
        # Each has seen what those before it wrote: the sum doubled three times.
        assert sum(await _totals(database)) == ROWS * 1000 * 2**3
        assert {event.facts["reason"] for event in retries} == {"serialization conflict"}

    async def test_that_comes_each_time_is_given_up(
        self, database: Database, accounts: list[int], retries: list[telemetry.Event]
    ) -> None:
        if not _is(database, "postgresql"):
            pytest.skip("the others lock what they will write, or wait in line")

        async def always_late(db: Session) -> None:
            await db.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
            await db.scalar(select(func.sum(Order.total)))
            async with database.unit() as faster:
                await faster.execute(_add(accounts[0], 1))
            await db.execute(_add(accounts[0], 100))

        with pytest.raises(Contended, match="failed 3 times") as caught:
            await database.retrying(always_late)
        assert isinstance(caught.value.__cause__, DBAPIError)
        assert [event.facts["again"] for event in retries] == [True, True, False]
        assert (await _totals(database))[0] == 1003


class TestAnOutdatedSnapshot:
    async def test_is_done_again_as_a_unit_that_writes(
        self, database: Database, accounts: list[int], retries: list[telemetry.Event]
    ) -> None:
        writes: list[bool] = []

        async def late(db: Session) -> None:
            await db.scalar(select(func.sum(Order.total)))
            writes.append(db.unit.write)
            if not db.unit.write:
                async with database.unit() as faster:
                    await faster.execute(_add(accounts[0], 1))
            await db.execute(_add(accounts[0], 100))

        await database.retrying(late, write=False)
        assert (await _totals(database))[0] == 1101
        assert writes == ([False, True] if _is(database, "sqlite") else [False])


class TestAStaleStatement:
    async def test_is_prepared_again(
        self, database: Database, accounts: list[int], retries: list[telemetry.Event]
    ) -> None:
        async def read(db: Session) -> int:
            return len((await db.execute(text("SELECT * FROM hints"))).keys())

        before = await database.retrying(read)
        await database.on_connection(
            lambda c: (c.execute(text("ALTER TABLE hints ADD COLUMN more INTEGER")), c.commit())
        )
        try:
            assert await database.retrying(read) == before + 1
            assert await database.retrying(read) == before + 1
            reasons = [event.facts["reason"] for event in retries]
            stale = ["stale prepared statement"]
            # Behind a pooler nothing is prepared.
            prepares = database.engine.dialect.driver == "mainspring"
            assert reasons == (stale if _is(database, "postgresql") and prepares else [])
        finally:
            await database.on_connection(
                lambda c: (c.execute(text("ALTER TABLE hints DROP COLUMN more")), c.commit())
            )


class TestWhatIsNotDoneAgain:
    async def test_an_error_that_would_come_again(self, database: Database) -> None:
        calls = 0

        async def broken(db: Session) -> None:
            nonlocal calls
            calls += 1
            db.add_all([Customer(email="a@x"), Customer(email="a@x")])

        with pytest.raises(IntegrityError):
            await database.retrying(broken)
        assert calls == 1

    async def test_a_unit_of_which_a_part_is_committed(
        self, database: Database, accounts: list[int]
    ) -> None:
        calls = 0

        async def in_two_parts(db: Session) -> None:
            nonlocal calls
            calls += 1
            await db.execute(_add(accounts[0], 1))
            await db.commit()
            raise SnapshotOutdated("as if") if _is(database, "sqlite") else _conflict(database)

        with pytest.raises(Exception, match="as if"):
            await database.retrying(in_two_parts)
        assert calls == 1
        assert (await _totals(database))[0] == 1001

    async def test_a_cancelled_one(self, database: Database) -> None:
        calls = 0

        async def work(db: Session) -> None:
            nonlocal calls
            calls += 1
            await db.execute(text("SELECT 1"))
            raise asyncio.CancelledError

        with pytest.raises(asyncio.CancelledError):
            await database.retrying(work)
        assert calls == 1


def _conflict(database: Database) -> Exception:
    """What the driver would raise."""
    if _is(database, "postgresql"):
        from asyncpg.exceptions import SerializationError

        return DBAPIError("", (), SerializationError("as if"))
    from asyncmy.errors import OperationalError

    return DBAPIError("", (), OperationalError(1213, "as if"))


def _add(account: int, amount: int) -> Any:
    return update(Order).where(Order.id == account).values(total=Order.total + amount)


async def _totals(database: Database) -> list[int]:
    async with database.unit(write=False) as db:
        return list((await db.scalars(select(Order.total).order_by(Order.id))).all())
