"""The journal on every database: what commits happens, what does not commit does not."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, func, select, update

from mainspring import telemetry
from mainspring.data import Database
from mainspring.data import _journal_table as table
from mainspring.data._errors import GiveUp
from mainspring.data._journal import Journal, RetryPolicy, UnknownEffect
from mainspring.data._lease import LEASES, LeaseLost

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from mainspring.data._journal_table import Entry

J = table.JOURNAL.c
SHORT = timedelta(milliseconds=600)
PATIENT = timedelta(seconds=3)  # a busy machine does not miss all heartbeats of so long a span
AT_ONCE = RetryPolicy(attempts=3, first=timedelta(milliseconds=1))


class Happened:
    """An effect that remembers what it was called with, and does as it is told."""

    def __init__(self, then: Callable[[Entry], Awaitable[None]] | None = None) -> None:
        self.entries: list[Entry] = []
        self._then = then

    async def __call__(self, entry: Entry) -> None:
        self.entries.append(entry)
        if self._then is not None:
            await self._then(entry)

    @property
    def payloads(self) -> list[bytes]:
        return [entry.payload for entry in self.entries]


async def _until(condition: Callable[[], Any], *, seconds: float = 10) -> None:
    until = time.monotonic() + seconds
    while True:
        found = condition()
        if found if not hasattr(found, "__await__") else await found:
            return
        assert time.monotonic() < until, "the condition never came true"
        await asyncio.sleep(0.01)


async def _rows(database: Database, *where: Any) -> int:
    async with database.unit(write=False) as session:
        count = await session.scalar(select(func.count(J.id)).where(*where))
        return int(count or 0)


async def _empty(database: Database) -> bool:
    return await _rows(database) == 0


def _journal(database: Database, *effects: Any, **options: Any) -> Journal:
    journal = Journal(database, span=options.pop("span", timedelta(seconds=15)))
    for number, effect in enumerate(effects):
        journal.declare("effect" if number == 0 else f"effect{number}", effect, **options)
    return journal


@asynccontextmanager
async def _elsewhere(database: Database) -> AsyncIterator[Database]:
    """The same database, as another process has it."""
    async with Database(database.sibling_url, pool_size=3) as opened:
        yield opened


async def test_what_is_committed_happens_once_and_leaves_no_row(journaled: Database) -> None:
    happened = Happened()
    async with _journal(journaled, happened) as journal:
        async with journaled.unit() as session:
            uids = [journal.write(session.unit, "effect", b"%d" % n) for n in range(5)]
            assert not happened.entries
        await _until(lambda: len(happened.entries) == 5)
        assert sorted(happened.payloads) == [b"0", b"1", b"2", b"3", b"4"]
        assert {entry.uid for entry in happened.entries} == set(uids)
        await _until(lambda: _empty(journaled))
    assert len(happened.entries) == 5


async def test_what_is_rolled_back_never_happens(journaled: Database) -> None:
    happened = Happened()
    async with _journal(journaled, happened) as journal:
        with pytest.raises(LookupError):
            async with journaled.unit() as session:
                journal.write(session.unit, "effect", b"undone")
                raise LookupError
        async with journaled.unit() as session:
            journal.write(session.unit, "effect", b"kept")
            with pytest.raises(LookupError):
                async with session.unit.savepoint():
                    journal.write(session.unit, "effect", b"undone")
                    raise LookupError
        await _until(lambda: _empty(journaled))
    assert happened.payloads == [b"kept"]


async def test_the_rows_of_a_unit_are_one_statement(journaled: Database) -> None:
    statements: list[str] = []

    def seen(_conn: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        statements.append(statement)

    journal = _journal(journaled, Happened())
    event.listen(journaled.engine, "before_cursor_execute", seen)
    async with journaled.unit() as session:
        for number in range(10):
            journal.write(session.unit, "effect", b"%d" % number)
    assert len(statements) == 1
    assert await _rows(journaled) == 10


async def test_without_a_relay_the_row_waits_for_one(journaled: Database) -> None:
    writer, happened = _journal(journaled, Happened()), Happened()
    async with journaled.unit() as session:
        writer.write(session.unit, "effect", b"left")
    async with _elsewhere(journaled) as elsewhere, _journal(elsewhere, happened):
        await _until(lambda: happened.entries)
        await _until(lambda: _empty(journaled))
    assert happened.payloads == [b"left"]


async def test_what_a_dead_owner_has_claimed_happens_elsewhere(journaled: Database) -> None:
    async with journaled.unit() as session:
        await table.add(
            session,
            [
                {"uid": f"{n:032}", "kind": "effect", "order_key": None, "payload": b"%d" % n,
                 "state": table.CLAIMED, "owner": "journal/dead", "attempts": 1}
                for n in range(3)
            ],
        )  # fmt: skip
    happened = Happened()
    async with _journal(journaled, happened):
        await _until(lambda: _empty(journaled))
    assert sorted(happened.payloads) == [b"0", b"1", b"2"]
    assert {entry.attempt for entry in happened.entries} == {2}


async def test_a_slow_effect_of_a_living_owner_is_never_rescued(journaled: Database) -> None:
    async def slowly(_entry: Entry) -> None:
        await asyncio.sleep(2 * PATIENT.total_seconds())

    slow, other = Happened(slowly), Happened()
    async with (
        _elsewhere(journaled) as elsewhere,
        _journal(elsewhere, other, span=PATIENT),
        _journal(journaled, slow, span=PATIENT) as journal,
    ):
        await _until(journal._relay._owns)
        async with journaled.unit() as session:
            journal.write(session.unit, "effect", b"slow")
        await _until(lambda: slow.entries)
        await _until(lambda: _empty(journaled))
    assert len(slow.entries) == 1
    assert not other.entries


async def test_a_fenced_off_owner_can_change_nothing(journaled: Database) -> None:
    journal = _journal(journaled, Happened())
    async with journaled.unit() as session:
        journal.write(session.unit, "effect", b"x")
    async with journaled.unit() as session:
        (first,) = await table.claim(session, "journal/a", ["effect"], limit=5)
    async with journaled.unit() as session:
        assert await table.rescue(session, prefix="journal/") == 1  # it has no lease
    async with journaled.unit() as session:
        (second,) = await table.claim(session, "journal/b", ["effect"], limit=5)
    assert (first.uid, first.attempt, second.attempt) == (second.uid, 1, 2)
    async with journaled.unit() as session:
        assert await table.finish(session, [first], first.owner) == 0
        await table.put_back(session, first, error="late", after_ms=None)
        assert await table.release(session, first.owner) == 0
    with pytest.raises(LeaseLost):
        async with journaled.unit() as session:
            await journal.finish(session, first)
    assert await _rows(journaled, J.state == table.CLAIMED, J.owner == "journal/b") == 1
    async with journaled.unit() as session:
        await journal.finish(session, second)
    assert await _empty(journaled)


async def test_many_claim_at_once_and_each_row_is_claimed_once(journaled: Database) -> None:
    journal = _journal(journaled, Happened())
    async with journaled.unit() as session:
        for number in range(60):
            journal.write(session.unit, "effect", b"%d" % number)

    async def claim_all(database: Database, owner: str) -> list[Entry]:
        found: list[Entry] = []
        for _ in range(60):
            async with database.unit() as session:
                found += await table.claim(session, owner, ["effect"], limit=3)
        return found

    async with _elsewhere(journaled) as elsewhere:
        work = []
        for number, database in enumerate((journaled, elsewhere, journaled, elsewhere)):
            work.append(asyncio.create_task(claim_all(database, f"journal/{number}")))
            await asyncio.sleep(0)
        claimed = [entry for part in await asyncio.gather(*work) for entry in part]
    assert len(claimed) == len({entry.id for entry in claimed}) == 60


async def test_a_row_that_commits_after_a_later_one_is_not_skipped(journaled: Database) -> None:
    """Ids are given before the commit, so the lower one may appear later."""
    if journaled.engine.dialect.name == "sqlite":
        pytest.skip("there one transaction writes at a time")
    happened = Happened()
    journal = _journal(journaled, happened)
    early = journaled.unit()
    await table.add(early.session, [_row("early")])
    async with journaled.unit() as session:
        await table.add(session, [_row("late")])
    async with journal:
        await _until(lambda: happened.payloads == [b"late"])
        await early.commit()
        journal.wake()
        await _until(lambda: happened.payloads == [b"late", b"early"])
    ids = [entry.id for entry in happened.entries]
    assert ids[1] < ids[0]


def _row(name: str) -> dict[str, Any]:
    return {"uid": name, "kind": "effect", "order_key": None, "payload": name.encode(),
            "state": table.WAITING, "owner": None, "attempts": 0}  # fmt: skip


async def test_effects_of_a_key_happen_in_order_with_two_relays(journaled: Database) -> None:
    async def irregular(entry: Entry) -> None:
        await asyncio.sleep(0.01 if entry.id % 3 else 0.03)

    first, second = Happened(irregular), Happened(irregular)
    order: dict[str, list[int]] = {"a": [], "b": [], "c": []}

    def remember(happened: Happened) -> None:
        inner = happened._then

        async def then(entry: Entry) -> None:
            order[entry.key or ""].append(int(entry.payload))
            assert inner is not None
            await inner(entry)

        happened._then = then

    remember(first)
    remember(second)
    async with (
        _elsewhere(journaled) as elsewhere,
        _journal(elsewhere, second) as other,
        _journal(journaled, first) as journal,
    ):
        for number in range(10):
            async with journaled.unit() as session:
                for key in order:
                    journal.write(session.unit, "effect", b"%d" % number, key=key)
            other.wake()
        await _until(lambda: _empty(journaled), seconds=18)
    assert order == {key: list(range(10)) for key in order}


async def test_a_failed_effect_is_attempted_again(journaled: Database) -> None:
    async def fails_twice(entry: Entry) -> None:
        if entry.attempt < 3:
            raise ConnectionError("not yet")

    happened = Happened(fails_twice)
    async with _journal(journaled, happened, retry=AT_ONCE) as journal:
        async with journaled.unit() as session:
            journal.write(session.unit, "effect", b"x")
        await _until(lambda: _empty(journaled))
    assert [entry.attempt for entry in happened.entries] == [1, 2, 3]
    assert len({entry.uid for entry in happened.entries}) == 1


async def test_after_the_last_attempt_it_is_dead_visible_and_can_be_revived(
    journaled: Database,
) -> None:
    broken = True

    async def fails(_entry: Entry) -> None:
        if broken:
            raise ConnectionError("the partner is away")

    happened = Happened(fails)
    async with _journal(journaled, happened, retry=AT_ONCE) as journal:
        async with journaled.unit() as session:
            journal.write(session.unit, "effect", b"x")
        await _until(lambda: _dead(journaled))
        assert len(happened.entries) == 3
        async with journaled.unit() as session:
            (row,) = await table.listed(session, state=table.DEAD, limit=10)
            assert row.error == "ConnectionError: the partner is away"
            assert row.attempts == 3
            (count,) = await table.counts(session)
            assert (count.kind, count.state, count.rows) == ("effect", table.DEAD, 1)
            assert 0 <= count.oldest_ms < 60_000
        broken = False
        async with journaled.unit() as session:
            assert await table.revive(session, [row.id], None) == 1
        journal.wake()
        await _until(lambda: _empty(journaled))
    assert len(happened.entries) == 4


async def _dead(database: Database) -> bool:
    return await _rows(database, J.state == table.DEAD) > 0


async def test_who_gives_up_is_not_asked_again_and_only_its_own_key_waits(
    journaled: Database,
) -> None:
    async def then(entry: Entry) -> None:
        if entry.payload == b"hopeless":
            raise GiveUp("the address does not exist")

    happened = Happened(then)
    async with _journal(journaled, happened) as journal:
        async with journaled.unit() as session:
            journal.write(session.unit, "effect", b"hopeless", key="a")
            journal.write(session.unit, "effect", b"behind", key="a")
            journal.write(session.unit, "effect", b"beside", key="b")
        await _until(lambda: _dead(journaled))
        await _until(lambda: b"beside" in happened.payloads)
        await asyncio.sleep(0.3)
        assert sorted(happened.payloads) == [b"beside", b"hopeless"]
        async with journaled.unit() as session:
            assert await table.discard(session, [], "effect") == 1
        journal.wake()
        await _until(lambda: b"behind" in happened.payloads)


async def test_an_effect_that_hangs_is_cancelled_and_counts_as_failed(journaled: Database) -> None:
    async def hangs(entry: Entry) -> None:
        if entry.attempt == 1:
            await asyncio.Event().wait()

    happened = Happened(hangs)
    options: dict[str, Any] = {"retry": AT_ONCE, "timeout": timedelta(milliseconds=50)}
    async with _journal(journaled, happened, **options) as journal:
        async with journaled.unit() as session:
            journal.write(session.unit, "effect", b"x")
        await _until(lambda: _empty(journaled))
    assert [entry.attempt for entry in happened.entries] == [1, 2]


async def test_a_kind_that_a_relay_does_not_know_is_left_to_others(journaled: Database) -> None:
    new, old = _journal(journaled, Happened(), Happened()), Happened()
    async with journaled.unit() as session:
        new.write(session.unit, "effect1", b"new")
        new.write(session.unit, "effect", b"old")
    async with _journal(journaled, old):
        await _until(lambda: old.entries)
        await asyncio.sleep(0.3)
    assert old.payloads == [b"old"]
    assert await _rows(journaled) == 1
    with pytest.raises(UnknownEffect, match="did you mean 'effect'"):
        _journal(journaled, Happened()).write(journaled.unit(), "efect", b"")


async def test_a_row_whose_commit_was_not_acknowledged_happens_too(journaled: Database) -> None:
    """It is claimed by a process that lives and does not know of it."""
    happened = Happened()
    async with _journal(journaled, happened, span=SHORT) as journal:
        await _until(journal._relay._owns)
        owner = journal._relay.owner_for(1)
        async with journaled.unit() as session:
            await table.add(
                session, [{**_row("lost"), "state": table.CLAIMED, "owner": owner, "attempts": 1}]
            )
        await _until(lambda: _empty(journaled))
    assert happened.payloads == [b"lost"]


async def test_a_lost_lease_is_replaced_by_another_and_nothing_is_lost(
    journaled: Database,
) -> None:
    happened = Happened()
    async with _journal(journaled, happened, span=SHORT) as journal:
        await _until(journal._relay._owns)
        first = journal._relay.owner_for(1)
        async with journaled.unit() as session:
            await session.execute(update(LEASES).values(expires_at=0))
        async with journaled.unit() as session:
            journal.write(session.unit, "effect", b"x")  # in the name of the lost one
        await _until(lambda: journal._relay.owner_for(1) not in {None, first})
        await _until(lambda: _empty(journaled))
    assert b"x" in happened.payloads


async def test_a_stop_lets_running_effects_end_and_gives_the_others_back(
    journaled: Database,
) -> None:
    release = asyncio.Event()

    async def waits(_entry: Entry) -> None:
        await release.wait()

    happened = Happened(waits)
    journal = Journal(journaled, concurrency=2)
    journal.declare("effect", happened)
    async with journal:
        await _until(journal._relay._owns)
        async with journaled.unit() as session:
            for number in range(5):
                journal.write(session.unit, "effect", b"%d" % number)
        await _until(lambda: len(happened.entries) == 2)
        asyncio.get_running_loop().call_later(0.2, release.set)
    assert len(happened.entries) == 2
    assert await _rows(journaled, J.state == table.WAITING, J.attempts == 0) == 3
    assert await _rows(journaled) == 3
    async with journaled.unit(write=False) as session:
        assert (await session.execute(select(LEASES))).all() == []


async def test_an_idle_relay_asks_rarely(journaled: Database) -> None:
    asked: list[str] = []

    def seen(_conn: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        asked.append(statement)

    async with _journal(journaled, Happened()) as journal:
        await _until(lambda: journal._relay._poll == 5.0, seconds=18)
        event.listen(journaled.engine, "before_cursor_execute", seen)
        await asyncio.sleep(2)
    # Two looks at most, and what the end takes.
    assert len([statement for statement in asked if "LIMIT" in statement]) <= 2


async def test_failures_are_told_to_telemetry(journaled: Database) -> None:
    async def fails(_entry: Entry) -> None:
        raise ConnectionError

    told: list[telemetry.Event] = []
    end = telemetry.subscribe(told.append)
    async with _journal(journaled, Happened(fails), retry=AT_ONCE) as journal:
        async with journaled.unit() as session:
            journal.write(session.unit, "effect", b"x")
        await _until(lambda: _dead(journaled))
    end()
    names = [found.name for found in told if found.name.startswith("journal.")]
    assert names.count("journal.failed") == 2
    assert names.count("journal.dead") == 1


async def test_what_ends_its_process_again_and_again_is_dead_in_the_end(
    journaled: Database,
) -> None:
    claimed = {"state": table.CLAIMED, "owner": "journal/dead", "attempts": AT_ONCE.attempts}
    async with journaled.unit() as session:
        await table.add(session, [{**_row("deadly"), **claimed}])
    happened = Happened()
    async with _journal(journaled, happened, retry=AT_ONCE):
        await _until(lambda: _dead(journaled))
    assert not happened.entries
    async with journaled.unit(write=False) as session:
        assert "ended during each of 3 attempts" in str(await session.scalar(select(J.error)))


async def test_a_unit_that_was_opened_for_reading_may_have_effects(journaled: Database) -> None:
    happened = Happened()
    async with _journal(journaled, happened) as journal:
        async with journaled.unit(write=False) as session:
            journal.write(session.unit, "effect", b"x")
        await _until(lambda: _empty(journaled))
    assert happened.payloads == [b"x"]


@pytest.mark.parametrize(
    ("attempt", "chance", "seconds"),
    [(1, 0, 1), (2, 0, 2), (5, 0, 16), (5, 1, 8), (11, 0, 1024), (12, 0, None), (99, 0, None)],
)
def test_the_wait_doubles_and_ends(attempt: int, chance: float, seconds: int | None) -> None:
    found = RetryPolicy().wait(attempt, chance=chance)
    assert found == (None if seconds is None else timedelta(seconds=seconds))
    assert RetryPolicy(attempts=10_000).wait(5_000, chance=0) == timedelta(hours=1)
