"""A short run on SQLite: what `make chaos` does for longer and on every database."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.run import chaos


@pytest.mark.timeout(170)
def test_nothing_is_lost_or_doubled_while_processes_are_killed(tmp_path: Path) -> None:
    found = chaos("sqlite:///", tmp_path, seconds=15, seed=20_261_122, shared=False)
    assert found["faults"] == []
    assert found["done"]["kill -9"] > 3
    assert found["counts"]["acknowledged"] > 20
