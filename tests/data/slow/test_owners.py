"""Owners of leases as processes: racing, stopped, killed."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from mainspring.data._lease import LEASES, Lease, Leases
from tests.data.slow.owner import SPAN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mainspring.data import Database

ROOT = Path(__file__).parents[3]


@contextmanager
def _owner(database: Database, *words: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.data.slow.owner", database.sibling_url, *words],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


async def _says(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return (await asyncio.to_thread(process.stdout.readline)).strip()


async def _told(process: subprocess.Popen[str]) -> str:
    assert process.stdin is not None
    process.stdin.write("write\n")
    process.stdin.flush()
    return await _says(process)


async def _taken(leases: Leases, name: str) -> Lease:
    until = time.monotonic() + 15
    while time.monotonic() < until:
        if (lease := await leases.take(name)) is not None:
            return lease
        await asyncio.sleep(0.05)
    pytest.fail("it was never free")


@pytest.mark.timeout(60)
@pytest.mark.may_block("processes are started")
async def test_of_many_processes_that_race_one_gets_it(journaled: Database) -> None:
    for round_number in range(2):
        with (
            _owner(journaled, "race", f"r{round_number}") as a,
            _owner(journaled, "race", f"r{round_number}") as b,
            _owner(journaled, "race", f"r{round_number}") as c,
        ):
            said = await asyncio.gather(_says(a), _says(b), _says(c))
        assert sorted(said) == ["1", "none", "none"]


@pytest.mark.timeout(60)
@pytest.mark.may_block("processes are started")
async def test_a_stopped_owner_loses_it_and_when_it_wakes_up_it_can_do_nothing(
    journaled: Database,
) -> None:
    ours = Leases(journaled)
    with _owner(journaled, "hold", "sweep") as process:
        assert await _says(process) == "1"
        process.send_signal(signal.SIGSTOP)
        lease = await _taken(ours, "sweep")
        assert lease.token == 2
        process.send_signal(signal.SIGCONT)
        assert await _told(process) == "lost not held"
        await asyncio.sleep(SPAN.total_seconds())  # its heartbeat is back, and changes nothing
        assert await _told(process) == "lost not held"
    async with journaled.unit(write=False) as session:
        written = select(func.count()).where(LEASES.c.name == "written")
        assert await session.scalar(written) == 0
        row = (await session.execute(select(LEASES).where(LEASES.c.name == "sweep"))).one()
    assert (row.owner, row.token) == (ours.owner, 2)


@pytest.mark.timeout(60)
@pytest.mark.may_block("processes are started")
async def test_a_living_owner_keeps_it_and_a_killed_one_does_not(journaled: Database) -> None:
    ours = Leases(journaled)
    with _owner(journaled, "hold", "sweep") as process:
        assert await _says(process) == "1"
        until = time.monotonic() + 2 * SPAN.total_seconds()
        while time.monotonic() < until:
            assert await ours.take("sweep") is None
            await asyncio.sleep(0.1)
        assert await _told(process) == "written held"
        process.kill()
        assert (await _taken(ours, "sweep")).token == 2
