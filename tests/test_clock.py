from __future__ import annotations

import time
from datetime import UTC, timedelta

import pytest

from mainspring.clock import SystemClock


def test_now_is_aware_and_in_utc() -> None:
    assert SystemClock().now().tzinfo is UTC


def test_monotonic_never_goes_back() -> None:
    clock = SystemClock()
    readings = [clock.monotonic() for _ in range(1000)]
    assert readings == sorted(readings)


@pytest.mark.parametrize("microseconds", [0, 300, 1400, 2499])
async def test_sleep_never_returns_early(microseconds: int) -> None:
    clock = SystemClock()
    for _ in range(10):
        began = time.monotonic()
        await clock.sleep(timedelta(microseconds=microseconds))
        assert time.monotonic() - began >= microseconds / 1e6
