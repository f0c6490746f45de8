"""Passwords: argon2id in a bounded pool, so that log-ins cannot take the whole machine.

A verification is made to cost some 30 ms and 19 MiB. Without a bound, as many as there are
requests would run at once; so there is one thread per core, a short queue before them, and a
refusal when it is full.
"""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

import argon2
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from mainspring import deadline, telemetry
from mainspring.auth._errors import HashingBusy, Unacceptable

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from typing import Self

T = TypeVar("T")

LONGEST_BYTES: Final = 1024
"""Longer passwords are refused before any work is done for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """How much work one hash is.

    The defaults are the least that OWASP's Password Storage Cheat Sheet accepts for argon2id
    with two passes. More memory means fewer log-ins per second on the same machine.

    Attributes:
        memory_kib: KiB of memory.
        passes: over that memory.
        lanes: computed in parallel; one, because the pool already uses every core.
    """

    memory_kib: int = 19456
    passes: int = 2
    lanes: int = 1


@dataclass(frozen=True, slots=True)
class Match:
    """The password is the right one.

    Attributes:
        outdated: the hash was made at another cost, and should be made anew.
    """

    outdated: bool = False


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The password is not the right one."""


class Passwords:
    """Hashes and verifies passwords, no more at once than there are cores.

    It is an async context manager, and whoever enters it owns its threads.

    Args:
        cost: of new hashes.
        min_length: characters of a new password (ASVS 6.2.1 asks for at least 8).
        workers: threads; one per core by default.
        queue: how many may wait for a thread.
        patience: the longest that one waits for a thread; half of what remains of the
            deadline if that is less, because the hashing itself must still fit.
    """

    def __init__(
        self,
        *,
        cost: Cost | None = None,
        min_length: int = 8,
        workers: int | None = None,
        queue: int = 64,
        patience: timedelta = timedelta(seconds=5),
    ) -> None:
        cost = cost or Cost()
        self._hasher = argon2.PasswordHasher(
            time_cost=cost.passes, memory_cost=cost.memory_kib, parallelism=cost.lanes
        )
        self._decoy = _decoy(cost, self._hasher)
        self._min_length = min_length
        self._queue = queue
        self._patience = patience.total_seconds()
        self._waiting = 0
        self._used = False
        workers = workers or _cores()
        self._places = asyncio.Semaphore(workers)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="mainspring-passwords")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._used:
            await asyncio.to_thread(self._threads.shutdown)

    async def hash(self, text: str) -> str:
        """The hash to store for a new password.

        Raises:
            Unacceptable: it is too short or too long.
            HashingBusy: there is no thread for it; nothing was done.
        """
        if len(text) < self._min_length:
            raise Unacceptable("password", f"must have at least {self._min_length} characters")
        return await self.rehash(text)

    async def rehash(self, text: str) -> str:
        """The hash at today's cost for a password that was accepted once, however short it is.

        Raises:
            Unacceptable: it is too long.
            HashingBusy: there is no thread for it; nothing was done.
        """
        password = normalize(text)
        if password is None:
            raise Unacceptable("password", f"must be text of at most {LONGEST_BYTES} bytes")
        return await self._run("hash", self._hasher.hash, password)

    async def verify(self, text: str, stored: str | None) -> Match | Mismatch:
        """Whether a password is the one that a hash was made of.

        It costs the same without a hash, so that the time of a log-in does not tell whether
        there is such an account.

        Args:
            text: what was typed.
            stored: the hash; None when there is nobody, or nobody with a password.

        Raises:
            HashingBusy: there is no thread for it; nothing was verified.
        """
        password = normalize(text)
        if password is None:
            return Mismatch()
        known = stored if stored is not None and self._readable(stored) else None
        found = await self._run("verify", self._matches, known or self._decoy, password)
        if not found or known is None:
            return Mismatch()
        return Match(outdated=self._hasher.check_needs_rehash(known))

    def _readable(self, stored: str) -> bool:
        try:
            argon2.extract_parameters(stored)
        except InvalidHashError as exc:
            telemetry.failed("auth.hash_unreadable", exc)
            return False
        return True

    def _matches(self, stored: str, password: bytes) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except VerifyMismatchError:
            return False

    async def _run(self, work: str, function: Callable[..., T], *args: object) -> T:
        with telemetry.span("auth.hashed", work=work):
            await self._take_place()
            self._used = True
            done = self._threads.submit(function, *args)
            # The place is free when the thread is, even if nobody waits for it any more.
            done.add_done_callback(self._give_back(asyncio.get_running_loop()))
            return await asyncio.wrap_future(done)

    async def _take_place(self) -> None:
        if self._places.locked() and self._waiting >= self._queue:
            raise HashingBusy(self._waiting)
        left = deadline.remaining()
        self._waiting += 1
        try:
            async with asyncio.timeout(
                self._patience if left is None else min(self._patience, left / 2)
            ):
                await self._places.acquire()
        except TimeoutError:
            raise HashingBusy(self._waiting) from None
        finally:
            self._waiting -= 1

    def _give_back(self, loop: asyncio.AbstractEventLoop) -> Callable[[Future[Any]], None]:
        def release(_done: Future[Any]) -> None:
            # A loop that is already closed has nobody left who waits for a place.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._places.release)

        return release


def normalize(text: str) -> bytes | None:
    """A password as it is hashed, or None if it is longer than any password.

    The same characters typed on two machines may be different code points; NFC makes them
    the same and, unlike NFKC, merges no characters that look different.

    Source: NIST SP 800-63B-4, section 3.1.1.2.
    """
    # A character is at least a byte, so that most of what is too long costs nothing at all.
    if len(text) > LONGEST_BYTES:
        return None
    try:
        if len(text.encode()) > LONGEST_BYTES:
            return None
        return unicodedata.normalize("NFC", text).encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return None


def _decoy(cost: Cost, hasher: argon2.PasswordHasher) -> str:
    """A hash of the current cost that no password has: the right form around random bytes."""
    salt, digest = (
        base64.b64encode(secrets.token_bytes(size)).rstrip(b"=").decode()
        for size in (hasher.salt_len, hasher.hash_len)
    )
    settings = f"m={cost.memory_kib},t={cost.passes},p={cost.lanes}"
    return f"$argon2id$v=19${settings}${salt}${digest}"


def _cores() -> int:
    """The cores that this process may use, which a container may have limited."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
