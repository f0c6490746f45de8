"""Does the time of a failed log-in tell whether there is such an account? (T42, A7)

Not a test: an answer that depends on the clock needs a quiet machine. The suite counts the work
instead (`test_every_login_that_fails_does_the_same_work`); this measures it.

    python tests/auth/login_timing.py --samples 1000
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from pathlib import Path

from mainspring.auth import Accounts, Passwords, User
from mainspring.data import Database, Model

RIGHT = "a spring in steel"
CASES = {
    "wrong password": ("known@example.org", "not the password"),
    "unknown address": ("nobody@example.org", "not the password"),
    "inactive, right password": ("inactive@example.org", RIGHT),
    "without a password": ("bare@example.org", RIGHT),
}
LIMIT = 4.5
"""|t| above which a difference is taken for real (the usual bound of leakage tests)."""


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=1000, help="of each case")
    samples = parser.parse_args().samples
    with tempfile.TemporaryDirectory() as folder:
        async with (
            Database(f"sqlite:///{Path(folder) / 'timing.db'}") as database,
            Passwords() as passwords,
        ):
            await prepare(database, passwords)
            times = await measure(database, passwords, samples)
    report(times)


def accounts_in(db, database, passwords) -> Accounts[User]:
    return Accounts(
        db, passwords=passwords, user_type=User, read=lambda: database.unit(write=False)
    )


async def prepare(database, passwords) -> None:
    async with database.unit() as db:
        connection = await db.connection()
        await connection.run_sync(Model.metadata.create_all, tables=[User.__table__])
    async with database.unit() as db:
        for name in ("known", "inactive", "bare"):
            accounts = accounts_in(db, database, passwords)
            user = await accounts.register(email=f"{name}@example.org", password=RIGHT)
            user.is_active = name != "inactive"
            if name == "bare":
                user.password_hash = None


async def measure(database, passwords, samples: int) -> dict[str, list[float]]:
    """Seconds of every attempt; the cases in random order, so that drift hits all of them."""
    times: dict[str, list[float]] = {case: [] for case in CASES}
    order = [case for case in CASES for _ in range(samples)]
    random.shuffle(order)
    for case in order:
        email, password = CASES[case]
        async with database.unit() as db:
            began = time.perf_counter()
            assert await accounts_in(db, database, passwords).authenticate(email, password) is None
            times[case].append(time.perf_counter() - began)
    return times


def report(times: dict[str, list[float]]) -> None:
    first, *others = CASES
    for case in CASES:
        print(f"{case:26} median {statistics.median(times[case]) * 1000:8.3f} ms")
    found = {case: welch(trimmed(times[first]), trimmed(times[case])) for case in others}
    for case, t in found.items():
        print(f"{first} against {case}: t = {t:+.2f}")
    raise SystemExit(any(abs(t) >= LIMIT for t in found.values()))


def trimmed(values: list[float]) -> list[float]:
    """Without the slowest tenth, which tells of the machine and not of the code."""
    return sorted(values)[: max(2, len(values) * 9 // 10)]


def welch(a: list[float], b: list[float]) -> float:
    """Welch's t of two samples."""
    spread = statistics.variance(a) / len(a) + statistics.variance(b) / len(b)
    return (statistics.fmean(a) - statistics.fmean(b)) / spread**0.5


if __name__ == "__main__":
    asyncio.run(main())
