"""Leases on every database: one owner at a time, and none that comes too late changes anything."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select, update

from mainspring import telemetry
from mainspring.data import Database
from mainspring.data._lease import LEASES, Lease, LeaseLost, Leases
from mainspring.data._server_clock import server_now

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SHORT = timedelta(milliseconds=600)
PATIENT = timedelta(seconds=2)  # a busy machine does not miss all heartbeats of so long a span


@asynccontextmanager
async def _another(database: Database, *, span: timedelta = SHORT) -> AsyncIterator[Leases]:
    """The leases of another owner, as another process has them: with connections of its own."""
    async with Database(database.sibling_url, pool_size=2) as theirs:
        yield Leases(theirs, span=span)


async def _taken(leases: Leases, name: str, *, seconds: float = 10) -> Lease:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        lease = await leases.take(name)
        if lease is not None:
            return lease
        await asyncio.sleep(0.05)
    pytest.fail(f"{name} could not be taken")


async def test_a_lease_has_one_owner_until_it_is_given(journaled: Database) -> None:
    ours = Leases(journaled)
    async with _another(journaled) as theirs:
        lease = await ours.take("sweep")
        assert lease == Lease("sweep", ours.owner, 1)
        assert await theirs.take("sweep") is None
        assert await ours.take("sweep") is None
        assert (await theirs.take("another")) is not None
        await ours.give(lease)
        taken = await theirs.take("sweep")
        assert taken is not None
        assert taken.token == 2
        assert not ours.held(lease)


async def test_a_heartbeat_keeps_it_beyond_its_span(journaled: Database) -> None:
    async with Leases(journaled, span=PATIENT) as ours, _another(journaled) as theirs:
        lease = await ours.take("sweep")
        assert lease is not None
        until = time.monotonic() + 1.5 * PATIENT.total_seconds()
        while time.monotonic() < until:
            assert await theirs.take("sweep") is None
            await asyncio.sleep(0.05)
        assert ours.held(lease)


@pytest.mark.may_block("to show that it does not matter")
async def test_a_blocked_event_loop_does_not_lose_it(journaled: Database) -> None:
    async with Leases(journaled, span=PATIENT) as ours, _another(journaled) as theirs:
        lease = await ours.take("sweep")
        assert lease is not None
        time.sleep(1.5 * PATIENT.total_seconds())  # noqa: ASYNC251  # this is the test
        assert ours.held(lease)
        assert await theirs.take("sweep") is None
        async with journaled.unit() as session:
            await ours.guard(session, lease)


async def test_without_a_heartbeat_it_expires_and_its_owner_can_do_nothing(
    journaled: Database,
) -> None:
    ours = Leases(journaled, span=SHORT)
    async with _another(journaled) as theirs:
        lost = await ours.take("sweep")
        assert lost is not None
        taken = await _taken(theirs, "sweep")
        assert taken.token == lost.token + 1
        assert not ours.held(lost)
        with pytest.raises(LeaseLost):
            async with journaled.unit() as session:
                await session.execute(
                    update(LEASES).where(LEASES.c.name == "sweep").values(owner="overwritten")
                )
                await ours.guard(session, lost)
        await ours.give(lost)
        async with journaled.unit(write=False) as session:
            row = (await session.execute(select(LEASES.c.owner, LEASES.c.token))).one()
        assert row == (theirs.owner, taken.token)


async def test_an_expired_lease_is_not_renewed_by_a_late_heartbeat(journaled: Database) -> None:
    ours = Leases(journaled, span=SHORT)
    lease = await ours.take("sweep")
    assert lease is not None
    async with journaled.unit() as session:
        await session.execute(update(LEASES).values(expires_at=server_now() - 1))
    lost: list[telemetry.Event] = []
    end = telemetry.subscribe(lost.append)
    await ours._renew(journaled)
    end()
    assert not ours.held(lease)
    assert [event.name for event in lost] == ["data.lease.lost"]


async def test_of_many_who_race_for_it_one_gets_it(journaled: Database) -> None:
    async with _another(journaled) as theirs:
        for number in range(10):
            asked = [
                each.take(f"race {number}")
                for _ in range(3)
                for each in (Leases(journaled), theirs)
            ]
            taken = [lease for lease in await asyncio.gather(*asked) if lease is not None]
            assert len(taken) == 1


async def test_a_guarded_transaction_cannot_be_overtaken(journaled: Database) -> None:
    """The lease ends during the transaction, and nobody gets it before that is over."""
    ours = Leases(journaled, span=SHORT)
    order: list[str] = []

    async def take() -> None:
        await _taken(theirs, "sweep")
        order.append("taken")

    async with _another(journaled) as theirs:
        lease = await ours.take("sweep")
        assert lease is not None
        async with journaled.unit() as session:
            await ours.guard(session, lease)
            taking = asyncio.create_task(take())
            await asyncio.sleep(2 * SHORT.total_seconds())
            order.append("committed")
        await taking
    assert order == ["committed", "taken"]


async def test_a_clock_that_jumps_in_one_process_changes_nothing(
    journaled: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Leases(journaled, span=PATIENT) as ours, _another(journaled) as theirs:
        lease = await ours.take("sweep")
        assert lease is not None
        really = time.time
        for jump in (86_400.0, -86_400.0):
            monkeypatch.setattr(time, "time", lambda jump=jump: really() + jump)
            assert await theirs.take("sweep") is None
            await asyncio.sleep(1.2 * PATIENT.total_seconds())
            assert ours.held(lease)
            assert await theirs.take("sweep") is None


async def test_the_token_never_counts_from_one_again(journaled: Database) -> None:
    ours = Leases(journaled)
    for token in range(1, 4):
        lease = await ours.take("sweep")
        assert lease is not None
        assert lease.token == token
        await ours.give(lease)


async def test_a_forgotten_lease_leaves_no_row(journaled: Database) -> None:
    ours = Leases(journaled)
    lease = await ours.take("once")
    assert lease is not None
    await ours.give(lease, forget=True)
    async with journaled.unit(write=False) as session:
        assert (await session.execute(select(LEASES))).all() == []
