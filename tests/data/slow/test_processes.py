"""Several processes, one file."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from mainspring.data import Database, select
from tests.data.shop import Customer, ShopModel

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.engine import Connection

WRITER = """
import asyncio, sys, time
from mainspring.data import Database, func, select
from tests.data.shop import Customer

async def main(url, name, units):
    worst = 0.0
    async with Database(url) as database:
        async def write(i):
            nonlocal worst
            began = time.monotonic()
            async with database.unit() as db:
                count = await db.scalar(select(func.count(Customer.id)))
                db.add(Customer(email=f"{name}-{i}@x", name=str(count)))
            worst = max(worst, time.monotonic() - began)
        async def lane(k):
            for i in range(units):
                await write(f"{k}-{i}")
        await asyncio.gather(*(lane(k) for k in range(4)))
    print(worst)

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


@pytest.mark.timeout(60)
async def test_four_processes_write_to_one_file(tmp_path: Path) -> None:
    file = tmp_path / "shop.db"
    async with Database(f"sqlite:///{file}") as database:
        await database.on_connection(_make_tables)
        await _four_writers(database, file)


async def _four_writers(database: Database, file: Path) -> None:
    units = 20
    command = [sys.executable, "-c", WRITER, f"sqlite:///{file}"]

    def run(number: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, f"p{number}", str(units)],
            capture_output=True,
            text=True,
            env={"PYTHONPATH": ":".join(sys.path)},
        )

    done = await asyncio.gather(*(asyncio.to_thread(run, number) for number in range(4)))
    assert [process.stderr for process in done] == [""] * 4
    # Each unit saw all that were committed before it: no update was lost in between.
    async with database.unit(write=False) as db:
        seen = (await db.scalars(select(Customer.name))).all()
    assert sorted(map(int, seen)) == list(range(4 * 4 * units))


def _make_tables(connection: Connection) -> None:
    ShopModel.metadata.create_all(connection)
    connection.commit()
