from __future__ import annotations

import asyncio
import threading
import unicodedata
from datetime import timedelta

import argon2
import pytest

from mainspring import deadline, telemetry
from mainspring.auth import Cost, HashingBusy, Match, Mismatch, Passwords, Unacceptable
from tests.auth.members import CHEAP

SECRET = "a spring in steel"


@pytest.fixture
def events():
    """The work that was done, as telemetry tells it."""
    seen: list[telemetry.Event] = []
    unsubscribe = telemetry.subscribe(seen.append)
    yield seen
    unsubscribe()


class Gate:
    """Keeps every hashing thread at work until it is opened."""

    def __init__(self, passwords: Passwords, monkeypatch) -> None:
        self._open = threading.Event()
        self.at_work = 0
        self.most = 0
        self._lock = threading.Lock()
        real = passwords._hasher.hash
        monkeypatch.setattr(passwords, "_hasher", self)
        self._real = real

    def hash(self, password: bytes) -> str:
        with self._lock:
            self.at_work += 1
            self.most = max(self.most, self.at_work)
        assert self._open.wait(10)
        with self._lock:
            self.at_work -= 1
        return self._real(password)

    def open(self) -> None:
        self._open.set()

    async def full(self, count: int) -> None:
        async with asyncio.timeout(5):
            while self.at_work < count:  # threads cannot set an asyncio.Event
                await asyncio.sleep(0.001)


async def test_a_password_matches_its_own_hash_and_no_other(passwords) -> None:
    stored = await passwords.hash(SECRET)
    assert await passwords.verify(SECRET, stored) == Match(outdated=False)
    assert await passwords.verify(SECRET + " ", stored) == Mismatch()
    assert await passwords.verify("", stored) == Mismatch()


async def test_two_hashes_of_one_password_differ(passwords) -> None:
    assert await passwords.hash(SECRET) != await passwords.hash(SECRET)


async def test_the_cost_by_default_is_the_least_that_owasp_accepts() -> None:
    async with Passwords() as passwords:
        found = argon2.extract_parameters(await passwords.hash(SECRET))
    assert (found.memory_cost, found.time_cost, found.parallelism) == (19456, 2, 1)
    assert found.type is argon2.Type.ID


async def test_a_hash_of_another_cost_matches_and_is_outdated(passwords) -> None:
    async with Passwords(cost=Cost(memory_kib=128, passes=1)) as dearer:
        stored = await dearer.hash(SECRET)
        assert await dearer.verify(SECRET, stored) == Match(outdated=False)
    assert await passwords.verify(SECRET, stored) == Match(outdated=True)
    assert await passwords.verify("something else", stored) == Mismatch()


async def test_what_looks_the_same_is_the_same(passwords) -> None:
    composed = unicodedata.normalize("NFC", "Zoë und Jürgen")
    apart = unicodedata.normalize("NFD", composed)
    assert composed != apart
    assert await passwords.verify(apart, await passwords.hash(composed)) == Match()


async def test_characters_that_look_different_stay_different(passwords) -> None:
    stored = await passwords.hash("two squared ²")
    assert await passwords.verify("two squared 2", stored) == Mismatch()


async def test_no_character_is_cut_off_trimmed_or_changed_in_case(passwords) -> None:
    longest = "x" * 1023
    stored = await passwords.hash(longest + "a")
    assert await passwords.verify(longest + "a", stored) == Match()
    assert await passwords.verify(longest + "b", stored) == Mismatch()
    stored = await passwords.hash(" Padded ")
    assert await passwords.verify("Padded", stored) == Mismatch()
    assert await passwords.verify(" padded ", stored) == Mismatch()


@pytest.mark.parametrize("text", ["", "seven c", "\u00e9" * 7])
async def test_a_short_password_is_refused_when_it_is_chosen(passwords, text) -> None:
    with pytest.raises(Unacceptable, match="at least 8 characters") as caught:
        await passwords.hash(text)
    assert caught.value.field == "password"


async def test_length_counts_characters_and_not_bytes(passwords) -> None:
    assert await passwords.hash("🔑" * 8)


@pytest.mark.parametrize(
    "text",
    [
        "x" * 1025,
        "é" * 513,
        "x" * 1_000_000,
        "\u0344" * 1_000_000,
        "a\u0315\u0300" * 400_000,
        "good enough \ud800",
    ],
    ids=["1025 bytes", "513 accents", "a megabyte", "expands", "reorders", "half a pair"],
)
async def test_what_is_no_password_is_refused_without_any_work(passwords, events, text) -> None:
    with pytest.raises(Unacceptable, match="at most 1024 bytes"):
        await passwords.hash(text)
    assert await passwords.verify(text, await passwords.hash(SECRET)) == Mismatch()
    assert await passwords.verify(text, None) == Mismatch()
    assert [event.facts["work"] for event in events] == ["hash"]  # that of SECRET


async def test_verifying_without_a_hash_is_the_same_work_and_never_matches(
    passwords, monkeypatch
) -> None:
    verified: list[str] = []
    real = argon2.PasswordHasher.verify

    def verify(self, stored, password):
        verified.append(stored)
        return real(self, stored, password)

    monkeypatch.setattr(argon2.PasswordHasher, "verify", verify)
    stored = await passwords.hash(SECRET)
    for known in (stored, None):
        await passwords.verify("not it at all", known)
    costs = [argon2.extract_parameters(text) for text in verified]
    assert len(costs) == 2
    assert costs[0] == costs[1]
    assert await passwords.verify(SECRET, None) == Mismatch()


async def test_a_hash_that_cannot_be_read_is_reported_and_costs_the_same(passwords, events) -> None:
    for stored in ("", "md5$1$abc", "$argon2id$v=19$nonsense"):
        events.clear()
        assert await passwords.verify(SECRET, stored) == Mismatch()
        assert [event.name for event in events] == ["auth.hash_unreadable", "auth.hashed"]


async def test_no_more_are_hashed_at_once_than_there_are_workers(monkeypatch) -> None:
    async with Passwords(cost=CHEAP, workers=2) as passwords:
        gate = Gate(passwords, monkeypatch)
        running = [asyncio.create_task(passwords.hash(SECRET)) for _ in range(6)]
        await gate.full(2)
        gate.open()
        await asyncio.gather(*running)
    assert gate.most == 2


async def test_a_full_queue_refuses_at_once(monkeypatch) -> None:
    async with Passwords(cost=CHEAP, workers=1, queue=2) as passwords:
        gate = Gate(passwords, monkeypatch)
        running = [asyncio.create_task(passwords.hash(SECRET)) for _ in range(3)]
        await gate.full(1)
        await asyncio.sleep(0)
        with pytest.raises(HashingBusy) as caught:
            await passwords.hash(SECRET)
        assert caught.value.retry_after > timedelta(0)
        gate.open()
        assert all(await asyncio.gather(*running))
        assert await passwords.hash(SECRET)


async def test_who_has_no_time_left_is_refused_and_not_hashed(monkeypatch, events) -> None:
    async with Passwords(cost=CHEAP, workers=1) as passwords:
        gate = Gate(passwords, monkeypatch)
        running = asyncio.create_task(passwords.hash(SECRET))
        await gate.full(1)
        with deadline.within(timedelta(milliseconds=40)), pytest.raises(HashingBusy):
            await passwords.hash(SECRET)
        assert deadline.remaining() is None
        gate.open()
        await running
    assert gate.most == 1
    assert [event.error is None for event in events] == [False, True]


async def test_patience_ends_without_a_deadline(monkeypatch) -> None:
    patience = timedelta(milliseconds=20)
    async with Passwords(cost=CHEAP, workers=1, patience=patience) as passwords:
        gate = Gate(passwords, monkeypatch)
        running = asyncio.create_task(passwords.hash(SECRET))
        await gate.full(1)
        with pytest.raises(HashingBusy):
            await passwords.hash(SECRET)
        gate.open()
        await running


async def test_a_thread_whose_caller_left_is_still_counted_as_taken(monkeypatch) -> None:
    async with Passwords(cost=CHEAP, workers=1, queue=1) as passwords:
        gate = Gate(passwords, monkeypatch)
        gone = asyncio.create_task(passwords.hash(SECRET))
        await gate.full(1)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        waits = asyncio.create_task(passwords.hash(SECRET))
        await asyncio.sleep(0)
        assert not waits.done()
        with pytest.raises(HashingBusy):
            await passwords.hash(SECRET)
        gate.open()
        assert await waits
    assert gate.most == 1


async def test_one_who_leaves_the_queue_makes_room(monkeypatch) -> None:
    async with Passwords(cost=CHEAP, workers=1, queue=1) as passwords:
        gate = Gate(passwords, monkeypatch)
        first = asyncio.create_task(passwords.hash(SECRET))
        await gate.full(1)
        second = asyncio.create_task(passwords.hash(SECRET))
        await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        third = asyncio.create_task(passwords.hash(SECRET))
        gate.open()
        assert all(await asyncio.gather(first, third))


async def test_the_threads_end_with_their_owner(passwords) -> None:
    async with Passwords(cost=CHEAP) as inner:
        await inner.hash(SECRET)
        mine = set(inner._threads._threads)
    assert mine
    assert not any(thread.is_alive() for thread in mine)
