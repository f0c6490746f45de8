"""Clients that leave at a random moment of a request that is in the middle of a transaction.

Ten thousand of them on each database: afterwards no connection is dirty, none is missing,
none ever gave an answer to the wrong request, and whatever was written was written whole.

`DISCONNECTS=500` makes a shorter run.
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
import struct
from typing import TYPE_CHECKING

import pytest

from mainspring import App, Settings, Struct, anyone
from mainspring.data import Database, Mapped, Model, Session, column, func, select
from mainspring.serve import Server

if TYPE_CHECKING:
    from collections.abc import Iterator

DISCONNECTS = int(os.environ.get("DISCONNECTS", "10000"))
CONCURRENCY = 64
# One in so many stays for the answer, which must be the answer to its own request.
STAYS = 8


class DisconnectEntry(Model):
    """One half of a transfer: `transfer` has two rows or none."""

    transfer: Mapped[int] = column(index=True)
    amount: Mapped[int]


class Answer(Struct):
    transfer: int
    halves: int


def application(url: str) -> App:
    app = App("disconnects", settings=Settings(database_url=url, log_level="critical"))

    @app.post("/transfers/{transfer}", allow=anyone)
    async def make(transfer: int, db: Session) -> Answer:
        db.add(DisconnectEntry(transfer=transfer, amount=-7))
        await db.flush()
        await asyncio.sleep(0)
        db.add(DisconnectEntry(transfer=transfer, amount=7))
        await db.flush()
        mine = select(func.count()).where(DisconnectEntry.transfer == transfer)
        return Answer(transfer, (await db.scalar(mine)) or 0)

    @app.get("/transfers/{transfer}", allow=anyone)
    async def look(transfer: int, db: Session) -> Answer:
        mine = select(func.count()).where(DisconnectEntry.transfer == transfer)
        return Answer(transfer, (await db.scalar(mine)) or 0)

    return app


@pytest.fixture(params=["sqlite", "postgresql", "mysql"])
def database_url(request: pytest.FixtureRequest, tmp_path: object) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/disconnects.db"
    else:
        yield request.getfixturevalue(f"{request.param}_database")


async def _leave(port: int, transfer: int, chance: random.Random) -> None:
    """Send a request, whole or in part, and go: by FIN or by RST, after a moment or none."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    method = chance.choice(["POST", "POST", "GET"])
    request = f"{method} /transfers/{transfer} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    whole = chance.random() < 0.95
    writer.write(request if whole else request[: chance.randrange(len(request))])
    if whole and transfer % STAYS == 0:
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        body = await reader.readuntil(b"}")
        halves = 2 if method == "POST" else 0
        assert body == b'{"transfer":%d,"halves":%d}' % (transfer, halves), body
    else:
        await asyncio.sleep(chance.choice([0, 0, chance.random() * 0.004]))
    if chance.random() < 0.5:
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _storm(port: int, seed: int) -> None:
    chance = random.Random(seed)
    transfers = iter(range(1, DISCONNECTS + 1))

    async def client() -> None:
        for transfer in transfers:
            await _leave(port, transfer, chance)

    await asyncio.gather(*(client() for _ in range(CONCURRENCY)))


async def _settled(database: Database) -> None:
    """Wait until every connection is back; a leaked one never comes."""
    pool = database.pool
    for _ in range(1000):
        if pool.idle == pool.total <= pool.size:
            return
        await asyncio.sleep(0.01)
    pytest.fail(f"{pool.total - pool.idle} of {pool.total} connections did not come back")


async def _check_ledger(database: Database) -> int:
    """Transfers are whole or absent; how many there are."""
    async with database.unit(write=False) as db:
        grouped = select(
            DisconnectEntry.transfer, func.count(), func.sum(DisconnectEntry.amount)
        ).group_by(DisconnectEntry.transfer)
        found = (await db.execute(grouped)).all()
    assert all((count, int(total)) == (2, 0) for _, count, total in found)
    return len(found)


async def _check_every_connection(database: Database) -> None:
    """Hold all connections at once: each must begin and end a transaction of its own."""
    units = [database.unit(write=False) for _ in range(database.pool.total)]
    try:
        for unit in units:
            assert await unit.session.scalar(select(func.count(DisconnectEntry.id))) is not None
    finally:
        for unit in units:
            await unit.rollback()


@pytest.mark.timeout(600)
async def test_ten_thousand_disconnects_leave_every_connection_clean(database_url: str) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}, {DISCONNECTS} disconnects")
    app = application(database_url)
    async with Database(database_url) as setup, setup.unit() as db:
        connection = await db.connection()
        await connection.run_sync(Model.metadata.create_all, tables=[DisconnectEntry.__table__])
    async with Server(app, port=0) as server:
        await _storm(server.port, seed)
        await _settled(app.database)
        committed = await _check_ledger(app.database)
        assert committed >= DISCONNECTS // STAYS // 4
        await _check_every_connection(app.database)
        assert app.database.pool.idle == app.database.pool.total
