from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func
from sqlalchemy.exc import DBAPIError, StatementError

from mainspring.data import Database, IntegrityError, delete, select
from tests.data.shop import Coupon, Customer, Everything, Hint, Order

if TYPE_CHECKING:
    from collections.abc import Callable


def _values(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "text": "ä🙂" * 40_000,
        "short": "naïve 🙂",
        "number": 2**62,
        "flag": True,
        "ratio": 0.1,
        "instant": datetime(2026, 3, 29, 1, 30, 0, 123_456, tzinfo=UTC),
        "day": date(2024, 2, 29),
        "amount": Decimal("123456789.123456"),
        "price": Decimal("19.90"),
        "key": uuid.UUID(int=7),
        "blob": bytes(range(256)) * 300,
        "facts": {"a": [1, None, {"ü": "🙂"}], "b": 1.5},
        "words": ["x", ""],
        "maybe": None,
        "nothing": None,
    }
    return values | changes


async def test_every_type_comes_back_as_it_was(database: Database) -> None:
    values = _values()
    async with database.unit() as db:
        made = Everything(**values)
        db.add(made)
        await db.flush()
        key = made.id
    async with database.unit(write=False) as db:
        found = await db.get(Everything, key)
        assert found is not None
        assert found is not made
        for name, value in values.items():
            assert getattr(found, name) == value, name
        assert found.instant.tzinfo is UTC
        assert found.price.as_tuple().exponent == -2


async def test_columns_come_back_as_entities_do(database: Database) -> None:
    async with database.unit() as db:
        db.add(Everything(**_values()))
    columns = (Everything.instant, Everything.amount, Everything.key, Everything.facts)
    async with database.unit(write=False) as db:
        row = (await db.execute(select(*columns))).one()
        count = await db.scalar(select(func.count()).where(Everything.maybe.is_(None)))
    assert row == tuple(_values()[c.key] for c in columns)
    assert count == 1  # None is SQL's NULL and not JSON's


async def test_an_instant_of_another_zone_is_the_same_instant(database: Database) -> None:
    there = datetime(2026, 7, 1, 23, 59, tzinfo=timezone(timedelta(hours=-9)))
    async with database.unit() as db:
        db.add(Everything(**_values(instant=there)))
    async with database.unit(write=False) as db:
        found = await db.scalar(select(Everything.instant).where(Everything.instant == there))
        later = await db.scalar(select(Everything.id).where(Everything.instant > there))
    assert found == there
    assert later is None


async def test_a_naive_datetime_is_refused(database: Database) -> None:
    with pytest.raises(StatementError, match="no time zone"):
        async with database.unit() as db:
            db.add(Everything(**_values(instant=datetime(2026, 1, 1))))  # noqa: DTZ001


@pytest.mark.parametrize(
    "change",
    [{"short": "x" * 21}, {"number": 2**63}, {"price": Decimal("123456789.00")}],
    ids=["long text", "big number", "big decimal"],
)
async def test_a_value_that_does_not_fit_is_refused(
    database: Database, change: dict[str, Any]
) -> None:
    with pytest.raises((DBAPIError, StatementError)):
        async with database.unit() as db:
            db.add(Everything(**_values(**change)))
    async with database.unit(write=False) as db:
        assert await db.scalar(select(func.count(Everything.id))) == 0


async def test_setting_a_key_of_a_dict_is_noticed(database: Database) -> None:
    async with database.unit() as db:
        made = Everything(**_values())
        db.add(made)
    async with database.unit() as db:
        found = (await db.scalars(select(Everything))).one()
        found.facts["new"] = 1
        found.words.append("y")
    async with database.unit(write=False) as db:
        found = (await db.scalars(select(Everything))).one()
        assert found.facts["new"] == 1
        assert found.words == ["x", "", "y"]


async def test_text_compares_by_code_point(database: Database) -> None:
    async with database.unit() as db:
        db.add_all([Customer(email="a@x"), Customer(email="A@x"), Customer(email="ä@x")])
    async with database.unit(write=False) as db:
        assert await db.scalar(select(func.count()).where(Customer.email == "A@X")) == 0
        assert (await db.scalars(select(Customer.email).where(Customer.email == "a@x"))).all() == [
            "a@x"
        ]


async def test_times_of_making_and_changing_are_kept(database: Database) -> None:
    before = datetime.now(UTC)
    async with database.unit() as db:
        customer = Customer(email="a@x")
        db.add(customer)
    async with database.unit() as db:
        found = (await db.scalars(select(Customer))).one()
        assert found.created_at == customer.created_at
        assert before <= found.created_at <= found.updated_at <= datetime.now(UTC)
        found.name = "somebody"
    async with database.unit(write=False) as db:
        changed = (await db.scalars(select(Customer))).one()
        assert changed.updated_at > changed.created_at
        assert changed.created_at == customer.created_at


async def test_the_id_of_a_deleted_row_does_not_come_back(database: Database) -> None:
    async with database.unit() as db:
        db.add_all([Customer(email="a@x"), Customer(email="b@x")])
    async with database.unit() as db:
        last = await db.scalar(select(func.max(Customer.id)))
        await db.execute(delete(Customer).where(Customer.id == last))
    async with database.unit() as db:
        fresh = Customer(email="c@x")
        db.add(fresh)
        await db.flush()
        assert fresh.id > last


class TestConstraints:
    async def test_two_rows_of_one_unique_value(self, database: Database) -> None:
        async with database.unit() as db:
            db.add(Customer(email="a@x"))
        with pytest.raises(IntegrityError):
            async with database.unit() as db:
                db.add(Customer(email="a@x"))

    async def test_a_reference_to_no_row(self, database: Database) -> None:
        with pytest.raises(IntegrityError):
            async with database.unit() as db:
                db.add(Order(customer_id=4711))

    async def test_a_missing_value(self, database: Database) -> None:
        with pytest.raises(IntegrityError):
            async with database.unit() as db:
                db.add(Customer(name="no email"))

    @pytest.mark.parametrize(
        ("make", "left"),
        [
            (lambda c: Order(customer=c), 0),
            (lambda c: Hint(customer_id=c.id), 1),
        ],
        ids=["cascade", "set null"],
    )
    async def test_deleting_the_other_row(
        self, database: Database, make: Callable[[Customer], Order | Hint], left: int
    ) -> None:
        async with database.unit() as db:
            customer = Customer(email="a@x")
            db.add(customer)
            await db.flush()
            row = make(customer)
            db.add(row)
        async with database.unit() as db:
            await db.execute(delete(Customer))
        async with database.unit(write=False) as db:
            rows = (await db.scalars(select(type(row)))).all()
        assert len(rows) == left
        assert all(row.customer_id is None for row in rows)

    async def test_deleting_a_row_that_is_needed(self, database: Database) -> None:
        async with database.unit() as db:
            customer = Customer(email="a@x")
            db.add(customer)
            await db.flush()
            db.add(Coupon(customer_id=customer.id))
        with pytest.raises(IntegrityError):
            async with database.unit() as db:
                await db.execute(delete(Customer))
