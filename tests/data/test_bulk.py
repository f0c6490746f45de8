from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select

from mainspring.data import Database, IntegrityError, ModelError
from mainspring.data._bulk import _copies
from tests.data.library import City
from tests.data.shop import Customer, Everything
from tests.data.test_round_trips import _values
from tests.data.watching import sent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


async def _cities(database: Database) -> int:
    async with database.unit(write=False) as db:
        return int(await db.scalar(select(func.count(City.id))) or 0)


class TestInsertMany:
    async def test_all_rows_are_there(self, library: Database) -> None:
        before = await _cities(library)
        async with library.unit() as db:
            count = await db.insert_many(City, ({"name": f"c{n}"} for n in range(2500)))
        assert count == 2500
        assert await _cities(library) == before + 2500

    async def test_every_type_comes_back_as_it_was(self, database: Database) -> None:
        rows = [_values(short=f"row {n}") for n in range(3)]
        async with database.unit() as db:
            await db.insert_many(Everything, rows)
        async with database.unit(write=False) as db:
            found = list(await db.scalars(select(Everything).order_by(Everything.id)))
        for row, made in zip(rows, found, strict=True):
            for name, value in row.items():
                assert getattr(made, name) == value, name

    async def test_defaults_of_columns_are_filled_in(self, database: Database) -> None:
        async with database.unit() as db:
            await db.insert_many(Customer, [{"email": "a@x"}, {"email": "b@x"}])
        async with database.unit(write=False) as db:
            found = list(await db.scalars(select(Customer)))
        assert {customer.name for customer in found} == {"nobody"}
        assert all(customer.created_at is not None for customer in found)

    async def test_it_belongs_to_the_unit(self, library: Database) -> None:
        before = await _cities(library)
        with pytest.raises(ZeroDivisionError):
            async with library.unit() as db:
                await db.insert_many(City, [{"name": "gone"}] * 10)
                assert await db.scalar(select(func.count()).where(City.name == "gone")) == 10
                _ = 1 / 0
        assert await _cities(library) == before

    async def test_the_next_rows_are_asked_for_when_those_before_are_written(
        self, library: Database
    ) -> None:
        if _copies(library.engine.dialect):
            pytest.skip("COPY asks for rows as its socket takes them")
        asked: list[tuple[int, int]] = []
        with sent() as statements:

            async def rows() -> AsyncIterator[dict[str, Any]]:
                for n in range(3500):
                    if n % 500 == 1:
                        asked.append((n, len(statements)))
                    yield {"name": f"c{n}"}

            async with library.unit() as db:
                await db.insert_many(City, rows())
        assert [count for _, count in asked] == [0, 0, 1, 1, 2, 2, 3]

    async def test_a_row_that_is_there_already_is_an_integrity_error(
        self, database: Database
    ) -> None:
        with pytest.raises(IntegrityError):
            async with database.unit() as db:
                await db.insert_many(Customer, [{"email": "a@x"}, {"email": "a@x"}])
        async with database.unit() as db:
            assert await db.insert_many(Customer, [{"email": "a@x"}]) == 1

    async def test_an_error_of_the_rows_themselves_undoes_everything(
        self, library: Database
    ) -> None:
        before = await _cities(library)

        async def rows() -> AsyncIterator[dict[str, Any]]:
            for n in range(1500):
                yield {"name": f"c{n}"}
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            async with library.unit() as db:
                await db.insert_many(City, rows())
        assert await _cities(library) == before

    @pytest.mark.parametrize(
        "rows", [[{"name": "a"}, {"name": "b", "id": 7}], [{"nome": "a"}]], ids=["more", "unknown"]
    )
    async def test_rows_that_do_not_fit_are_refused(
        self, library: Database, rows: list[dict[str, Any]]
    ) -> None:
        with pytest.raises(ModelError):
            async with library.unit() as db:
                await db.insert_many(City, rows)

    async def test_no_rows_are_no_statement(self, library: Database) -> None:
        with sent() as statements:
            async with library.unit() as db:
                assert await db.insert_many(City, []) == 0
        assert not statements


class TestUpsert:
    async def test_what_is_there_is_updated_and_the_rest_inserted(self, database: Database) -> None:
        async with database.unit() as db:
            db.add(Customer(email="a@x", name="old"))
        rows = [{"email": "a@x", "name": "new"}, {"email": "b@x", "name": "other"}]
        async with database.unit() as db:
            await db.upsert(Customer, rows, key=[Customer.email], update=[Customer.name])
        async with database.unit(write=False) as db:
            found = {c.email: c for c in await db.scalars(select(Customer))}
        assert {email: c.name for email, c in found.items()} == {"a@x": "new", "b@x": "other"}
        assert found["a@x"].updated_at > found["a@x"].created_at

    async def test_without_an_update_the_old_row_stays(self, database: Database) -> None:
        async with database.unit() as db:
            db.add(Customer(email="a@x", name="old"))
        async with database.unit() as db:
            rows = [{"email": "a@x", "name": "new"}, {"email": "b@x", "name": "other"}]
            await db.upsert(Customer, rows, key=["email"])
        async with database.unit(write=False) as db:
            names = list(await db.scalars(select(Customer.name).order_by(Customer.email)))
        assert names == ["old", "other"]

    async def test_a_key_that_is_no_column_is_refused(self, database: Database) -> None:
        async with database.unit() as db:
            with pytest.raises(ModelError, match="mail"):
                await db.upsert(Customer, [{"email": "a@x"}], key=["mail"])
