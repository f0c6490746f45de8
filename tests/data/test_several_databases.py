"""A unit of one database, and those of others that end with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from mainspring.auth import anyone
from mainspring.data import (
    Database,
    IntegrityError,
    Session,
    SnapshotOutdated,
    UnitEnded,
    func,
    select,
)
from mainspring.errors import ConfigError
from tests.data.shop import Customer, Order, ShopModel
from tests.http.direct import application, ask, value

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sqlalchemy.engine import Connection


class Reports(Session):
    """The session of the reports' database."""


@pytest.fixture
def reports_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/reports.db"


@pytest.fixture
async def reports(reports_url: str) -> AsyncIterator[Database]:
    async with Database(reports_url) as opened:
        await opened.on_connection(_make)
        yield opened


def _make(connection: Connection) -> None:
    ShopModel.metadata.create_all(connection)
    connection.commit()


async def _count(database: Database) -> int:
    async with database.unit(write=False) as db:
        return await db.scalar(select(func.count(Customer.id))) or 0


async def test_they_are_committed_together(database: Database, reports: Database) -> None:
    told: list[str] = []
    async with database.unit() as db:
        db.add(Customer(email="a@x"))
        other = db.unit.beside(reports)
        assert db.unit.beside(reports) is other
        other.session.add(Customer(email="b@x"))
        db.unit.after_commit(lambda: told.append("own"))
        other.after_commit(lambda: told.append("other"))
    assert (await _count(database), await _count(reports)) == (1, 1)
    assert told == ["other", "own"]


async def test_they_are_rolled_back_together(database: Database, reports: Database) -> None:
    told: list[str] = []
    with pytest.raises(ZeroDivisionError):
        async with database.unit() as db:
            db.add(Customer(email="a@x"))
            other = db.unit.beside(reports)
            other.session.add(Customer(email="b@x"))
            await other.session.flush()
            other.after_rollback(lambda: told.append("other"))
            raise ZeroDivisionError
    assert (await _count(database), await _count(reports)) == (0, 0)
    assert told == ["other"]


@pytest.mark.parametrize("wrong", ["own", "other"])
async def test_what_a_flush_refuses_undoes_both(
    database: Database, reports: Database, wrong: str
) -> None:
    unit = database.unit()
    both = {"own": unit.session, "other": unit.beside(reports).session}
    for name, session in both.items():
        emails = ["a@x", "a@x"] if name == wrong else ["b@x"]
        session.add_all([Customer(email=email) for email in emails])
    with pytest.raises(IntegrityError):
        await unit.commit()
    assert (await _count(database), await _count(reports)) == (0, 0)


async def test_what_only_the_commit_refuses_leaves_those_before_it(
    database: Database, reports: Database
) -> None:
    if database.engine.dialect.name != "postgresql":
        pytest.skip("only PostgreSQL has constraints that are looked at with the commit")
    await database.on_connection(_defer)
    unit = database.unit()
    unit.beside(reports).session.add(Customer(email="b@x"))
    unit.session.add(Order(customer_id=4711))
    with pytest.raises(IntegrityError):
        await unit.commit()
    assert (await _count(database), await _count(reports)) == (0, 1)
    assert await _count(database) == 0  # its connection can be used again
    assert unit.kept  # so nobody does it again


def _defer(connection: Connection) -> None:
    (constraint,) = Order.__table__.foreign_key_constraints  # type: ignore[attr-defined]
    connection.execute(
        text(f"ALTER TABLE orders ALTER CONSTRAINT {constraint.name} DEFERRABLE INITIALLY DEFERRED")
    )
    connection.commit()


async def test_they_end_together(database: Database, reports: Database) -> None:
    unit = database.unit()
    other = unit.beside(reports)
    await unit.commit()
    with pytest.raises(UnitEnded):
        await other.session.execute(text("SELECT 1"))
    with pytest.raises(UnitEnded):
        database.unit().beside(reports)
        unit.beside(database)


async def test_a_handler_asks_for_them_by_type(
    url: str, database: Database, reports_url: str, reports: Database
) -> None:
    app = application(database_url=url)
    app.add_database(Reports, reports_url)
    calls: list[int] = []

    @app.post("/notes", allow=anyone)
    async def write(db: Session, other: Reports) -> int:
        calls.append(1)
        db.add(Customer(email="a@x"))
        other.add(Customer(email="b@x"))
        await other.flush()
        if len(calls) == 1:
            raise SnapshotOutdated("as if") if _sqlite(database) else ValueError
        assert type(other) is Reports
        return len(calls)

    async with app.running():
        first = await ask(app, "POST", "/notes")
        answer = first if first.status == 200 else await ask(app, "POST", "/notes")
    assert value(answer) == 2
    assert len(calls) == 2
    assert (await _count(database), await _count(reports)) == (1, 1)


def _sqlite(database: Database) -> bool:
    return database.engine.dialect.name == "sqlite"


async def test_the_applications_own_session_cannot_be_another_ones() -> None:
    with pytest.raises(ConfigError, match="own database"):
        application().add_database(Session, "sqlite://")
