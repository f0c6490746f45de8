"""What is sent around statements: a unit that only reads sends nothing but its statements."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import literal_column, text

from mainspring import Struct
from mainspring.data import Database, bindparam, func, hot, insert, select, update
from tests.data.shop import Customer

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter
    from collections.abc import AsyncIterator

    from mainspring.data import Session


class Found(Struct):
    id: int
    email: str


count = hot(select(func.count(Customer.id)))
by_email = hot(select(Customer).where(Customer.email == bindparam("email")), Found)
add = hot(insert(Customer))
rename = hot(update(Customer).values(name="changed"))

READS: dict[str, Any] = {
    "hot": lambda db: db.one(count),
    "columns": lambda db: db.all(select(Customer), Found),
    "orm": lambda db: db.scalars(select(Customer)),
    "by key": lambda db: db.get(Customer, 1),
    "functions": lambda db: db.scalar(select(func.lower(func.coalesce(Customer.email, "x")))),
}
OTHERS: dict[str, Any] = {
    "hot insert": lambda db: db.run(add, email="a@x"),
    "hot update": lambda db: db.run(rename),
    "orm insert": lambda db: _flushed(db, Customer(email="a@x")),
    "text": lambda db: db.execute(text("SELECT 1")),
    "text in a column": lambda db: db.execute(select(literal_column("1"))),
    "for update": lambda db: db.execute(select(Customer).with_for_update()),
    "hot for update": lambda db: db.all(hot(select(Customer.id).with_for_update())),
    "unknown function": lambda db: db.execute(select(func.version())),
}


async def _flushed(db: Session, row: Any) -> None:
    db.add(row)
    await db.flush()


@pytest.fixture(params=["postgresql", "mariadb"])
def url(request: pytest.FixtureRequest) -> str:
    kind = {"postgresql": "postgresql_database", "mariadb": "mysql_database"}[request.param]
    return str(request.getfixturevalue(kind))


class Wire:
    """A connection's way to its server, which counts what the client sends."""

    def __init__(self) -> None:
        self.requests = 0

    async def pass_on(
        self, address: tuple[str, int], client: tuple[StreamReader, StreamWriter]
    ) -> None:
        reader, writer = await asyncio.open_connection(*address)
        answers = asyncio.ensure_future(_copy(reader, client[1]))
        while data := await client[0].read(1 << 20):
            self.requests += 1
            writer.write(data)
        writer.close()
        await answers


async def _copy(reader: StreamReader, writer: StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(1 << 20):
            writer.write(data)
    writer.close()


@pytest.fixture
async def wired(url: str, database: Database) -> AsyncIterator[tuple[Database, Wire]]:
    """A database with one connection, and the wire that it goes over."""
    wire, parts = Wire(), urlsplit(url)
    address = (str(parts.hostname), int(parts.port or 0))
    passing: set[asyncio.Task[None]] = set()

    async def accept(reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        passing.add(task)
        await wire.pass_on(address, (reader, writer))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    through = parts._replace(netloc=f"root@127.0.0.1:{port}").geturl()
    async with Database(through, pool_size=1) as opened:
        for work in READS.values():  # prepares what is prepared once
            async with opened.unit(write=False) as db:
                await work(db)
        yield opened, wire
    server.close()
    await asyncio.wait(passing)


@pytest.mark.parametrize("read", READS.values(), ids=READS.keys())
@pytest.mark.parametrize("write", [False, True], ids=["reading", "writing"])
async def test_a_read_is_one_round_trip(
    wired: tuple[Database, Wire], read: Any, write: bool
) -> None:
    database, wire = wired
    for times in (1, 3):
        before = wire.requests
        async with database.unit(write=write) as db:
            for _ in range(times):
                await read(db)
                db.expunge_all()
        assert wire.requests - before == times
    assert database.pool.total == 1


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS.keys())
async def test_anything_else_is_in_a_transaction(database: Database, other: Any) -> None:
    async with database.unit() as db:
        await db.one(count)
        assert not _in_transaction(db)
        await other(db)
        assert _in_transaction(db)
        await db.one(count)
        assert _in_transaction(db)
        await db.rollback()
        await db.one(count)
        assert not _in_transaction(db)
    assert database.pool.idle == database.pool.total


def _in_transaction(db: Session) -> bool:
    link = db.unit.link
    assert link is not None
    connection = link.raw.driver_connection
    if hasattr(connection, "is_in_transaction"):
        return bool(connection.is_in_transaction())
    return bool(connection.get_transaction_status())


async def test_a_lock_is_held_to_the_end_of_the_unit(database: Database, url: str) -> None:
    async with database.unit() as db:
        await db.run(add, email="a@x")
    free = select(Customer.id).with_for_update(skip_locked=True)
    async with database.unit() as db:
        assert len((await db.execute(select(Customer).with_for_update())).all()) == 1
        async with database.unit() as other:
            assert (await other.execute(free)).all() == []
    async with database.unit() as other:
        assert len((await other.execute(free)).all()) == 1
