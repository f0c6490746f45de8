"""The ledger itself: what it must call a fault, and what it must not."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.chaos.transfers import Transfers, _check_mails
from tests.chaos.world import Verdict


def _rows(there: dict[str, int]) -> Verdict:
    transfers = Transfers()
    transfers.acknowledged |= {"yes"}
    transfers.unknown |= {"perhaps"}
    transfers.to_fail |= {"no"}
    verdict = Verdict()
    transfers._check_rows(Counter(there), verdict)
    return verdict


@pytest.mark.parametrize("there", [{"yes": 1}, {"yes": 1, "perhaps": 1}])
def test_what_was_acknowledged_once_and_the_rest_perhaps_is_exact(there: dict[str, int]) -> None:
    assert _rows(there).faults == []


@pytest.mark.parametrize(
    ("there", "fault"),
    [
        ({}, "acknowledged and lost"),
        ({"yes": 2}, "doubled"),
        ({"yes": 1, "no": 1}, "rolled back and there"),
        ({"yes": 1, "who": 1}, "never sent and there"),
    ],
)
def test_what_is_lost_doubled_or_a_ghost_is_a_fault(there: dict[str, int], fault: str) -> None:
    (found,) = _rows(there).faults
    assert fault in found


@pytest.mark.parametrize(
    ("taken", "fault", "again"),
    [
        ([("id", "yes")], "", 0),
        ([("id", "yes"), ("id", "yes")], "", 1),
        ([], "were lost", 0),
        ([("id", "yes"), ("x", "no")], "rolled back", 0),
        ([("id", "yes"), ("other", "yes")], "another Message-ID", 0),
    ],
)
def test_a_mail_comes_with_one_id_as_often_as_it_likes_and_only_if_it_was_committed(
    taken: list[tuple[str, str]], fault: str, again: int
) -> None:
    verdict = Verdict()
    _check_mails({"yes": "id"}, taken, verdict)
    assert fault in "".join(verdict.faults)
    assert bool(verdict.faults) == bool(fault)
    assert verdict.counts["mails delivered again"] == again
