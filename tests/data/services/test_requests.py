"""Requests whose unit the database ends for the sake of others, and requests under a migration."""

from __future__ import annotations

import asyncio
import gzip
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from sqlalchemy import text

from mainspring.auth import anyone
from mainspring.data import Contended, Database, Session, SnapshotOutdated, func, select, update
from mainspring.http import Request, WholeBody
from tests.data.shop import Customer, Order
from tests.http.direct import application, ask, value

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from mainspring.app import App
    from mainspring.http import Response


class Note(msgspec.Struct):
    text: str


class Pieces:
    """A body that has not arrived yet when the request is answered."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = list(pieces)
        self.declared_bytes = None

    def ready(self) -> bytes | None:
        return None

    async def chunk(self) -> bytes:
        await asyncio.sleep(0)
        return self._pieces.pop(0) if self._pieces else b""


class Desk:
    """An application, and what its handlers were called with."""

    def __init__(self, app: App, fail: Callable[[], Exception]) -> None:
        self.app = app
        self.calls: list[Any] = []
        self.failures = 1
        self._fail = fail

    def call(self, argument: Any) -> None:
        self.calls.append(argument)
        if len(self.calls) <= self.failures:
            raise self._fail()

    async def post(self, target: str, body: Any, **headers: str) -> Response:
        sent = {b"host": b"localhost", b"content-type": b"application/json"}
        sent |= {k.replace("_", "-").encode(): v.encode() for k, v in headers.items()}
        request = Request("POST", target, headers=sent, body=body)
        self.app.core.route(request)
        return await self.app.core.answer(request)


@pytest.fixture
async def desk(url: str, database: Database) -> AsyncIterator[Desk]:
    app = application(database_url=url)
    desk = Desk(app, lambda: _conflict(database))

    @app.post("/notes", allow=anyone, decompress=True)
    async def write(note: Note, db: Session) -> int:
        db.add(Customer(email=f"{len(desk.calls)}@x"))
        await db.flush()
        desk.call(note.text)
        return len(desk.calls)

    @app.post("/once", allow=anyone, attempts=1)
    async def once(note: Note, db: Session) -> int:
        await db.execute(text("SELECT 1"))
        desk.call(note.text)
        return 0

    @app.post("/stream", allow=anyone)
    async def stream(request: Request, db: Session) -> int:
        await db.execute(text("SELECT 1"))
        desk.call(b"".join([part async for part in request.stream()]))
        return 0

    @app.post("/read", allow=anyone)
    async def read(request: Request, db: Session) -> int:
        await db.execute(text("SELECT 1"))
        desk.call(await request.read())
        return 0

    async with app.running():
        yield desk


def _conflict(database: Database) -> Exception:
    """What the driver raises, from the server itself where that is easily had."""
    name = database.engine.dialect.name
    if name == "sqlite":
        return SnapshotOutdated("as if")
    if name == "postgresql":
        from asyncpg.exceptions import DeadlockDetectedError

        return DeadlockDetectedError("as if")
    from asyncmy.errors import OperationalError

    return OperationalError(1213, "as if")  # type: ignore[no-any-return]


async def _customers(database: Database) -> int:
    async with database.unit(write=False) as db:
        return await db.scalar(select(func.count(Customer.id))) or 0


class TestARequestIsDoneAgain:
    async def test_with_the_same_body_and_nothing_left_of_the_first_time(
        self, desk: Desk, database: Database
    ) -> None:
        response = await desk.post("/notes", WholeBody(b'{"text":"a"}'))
        assert (response.status, value(response)) == (200, 2)
        assert desk.calls == ["a", "a"]
        assert await _customers(database) == 1

    async def test_although_its_body_arrived_in_pieces(self, desk: Desk) -> None:
        response = await desk.post("/notes", Pieces(b'{"te', b'xt":"a"}'))
        assert response.status == 200
        assert desk.calls == ["a", "a"]

    async def test_although_its_body_was_compressed(self, desk: Desk) -> None:
        packed = gzip.compress(b'{"text":"a"}')
        response = await desk.post("/notes", WholeBody(packed), content_encoding="gzip")
        assert response.status == 200
        assert desk.calls == ["a", "a"]

    async def test_although_the_handler_read_the_body_itself(self, desk: Desk) -> None:
        response = await desk.post("/read", Pieces(b"one", b"two"))
        assert response.status == 200
        assert desk.calls == [b"onetwo", b"onetwo"]

    async def test_three_times_at_most(self, desk: Desk, database: Database) -> None:
        desk.failures = 99
        response = await desk.post("/notes", WholeBody(b'{"text":"a"}'))
        assert len(desk.calls) == 3
        assert response.status == 503
        assert value(response)["type"] == Contended.code
        assert (b"retry-after", b"1") in response.headers
        assert await _customers(database) == 0


class TestARequestIsNotDoneAgain:
    @pytest.mark.parametrize("target", ["/once", "/stream"])
    async def test_if_its_route_says_so_or_its_body_is_used_up(
        self, desk: Desk, target: str
    ) -> None:
        response = await desk.post(target, Pieces(b'{"text":', b'"a"}'))
        assert len(desk.calls) == 1
        assert (response.status, value(response)["type"]) == (503, Contended.code)

    async def test_if_its_error_is_its_own(self, desk: Desk) -> None:
        desk._fail = lambda: LookupError("gone")
        response = await desk.post("/notes", WholeBody(b'{"text":"a"}'))
        assert len(desk.calls) == 1
        assert response.status == 500


async def test_real_deadlocks_are_answered_with_200(url: str, database: Database) -> None:
    async with database.unit() as db:
        customer = Customer(email="a@x", orders=[Order(total=0) for _ in range(2)])
        db.add(customer)
    ids = [order.id for order in customer.orders]
    app = application(database_url=url)

    @app.post("/both/{first}/{second}", allow=anyone)
    async def both(first: int, second: int, db: Session) -> int:
        for each in (first, second):
            await db.execute(update(Order).where(Order.id == each).values(total=Order.total + 1))
            await asyncio.sleep(0.002)
        return 0

    async with app.running():
        a, b = ids
        asked = [
            await asyncio.gather(
                ask(app, "POST", f"/both/{a}/{b}"), ask(app, "POST", f"/both/{b}/{a}")
            )
            for _ in range(10)
        ]
    assert {response.status for pair in asked for response in pair} == {200}
    async with database.unit(write=False) as db:
        assert list((await db.scalars(select(Order.total))).all()) == [20, 20]


@pytest.mark.timeout(60)
async def test_a_migration_under_load_breaks_no_request(url: str, database: Database) -> None:
    """D5: cached statements of every connection become stale at once, several times."""
    app = application(database_url=url)
    name = database.engine.dialect.name
    statuses: list[int] = []
    migrated = asyncio.Event()

    @app.post("/customers/{number}", allow=anyone)
    async def write(number: int, db: Session) -> int:
        db.add(Customer(email=f"{number}@x"))
        return 0

    @app.get("/customers", allow=anyone)
    async def read(db: Session) -> int:
        rows = (await db.execute(text("SELECT * FROM customers"))).all()
        customers = (await db.scalars(select(Customer))).all()
        return len(rows) + len(customers)

    async def client(number: int) -> None:
        for step in range(10_000):
            if migrated.is_set():
                return
            post = await ask(app, "POST", f"/customers/{number * 10_000 + step}")
            get = await ask(app, "GET", "/customers")
            statuses.extend((post.status, get.status))
            await asyncio.sleep(0)

    async def migrate() -> None:
        for statement in _changes(name):
            await asyncio.sleep(0.1)
            await database.on_connection(
                lambda c, s=statement: (c.execute(text(s)), c.commit())  # type: ignore[misc]
            )
        await asyncio.sleep(0.1)
        migrated.set()

    async with app.running():
        await asyncio.gather(migrate(), *(client(number) for number in range(4)))
    assert set(statuses) == {200}
    assert len(statuses) > 50


def _changes(name: str) -> list[str]:
    """Back and forth, so that the tables end as they were."""
    changes = ["ALTER TABLE customers ADD COLUMN more INTEGER"]
    if name == "postgresql":
        changes += [
            "ALTER TABLE customers ALTER COLUMN email TYPE VARCHAR(200)",
            "ALTER TABLE customers ALTER COLUMN email TYPE VARCHAR(100)",
        ]
    if name == "mysql":
        changes += ["ALTER TABLE customers MODIFY email VARCHAR(100) COLLATE utf8mb4_bin NOT NULL"]
    return [*changes, "ALTER TABLE customers DROP COLUMN more"]
