from __future__ import annotations

from collections import Counter

import pytest

from bench.measures import Measure, interleaved, percentile, ratio
from bench.report import families


def test_a_measure_is_the_median_of_its_rounds() -> None:
    measure = Measure.of("W1", "mainspring", "req/s", [30_000.0, 10.0, 20_000.0])

    assert measure.value == 20_000.0
    assert measure.as_json() == {
        "workload": "W1",
        "subject": "mainspring",
        "value": 20_000.0,
        "unit": "req/s",
        "rounds": [30_000.0, 10.0, 20_000.0],
    }


def test_the_spread_is_the_distance_of_the_extremes_in_medians() -> None:
    assert Measure.of("W1", "a", "req/s", [90.0, 100.0, 120.0]).spread == pytest.approx(0.3)
    assert Measure.of("P7-growth", "a", "MB", [0.0]).spread == 0.0


def test_figures_are_rounded_to_what_they_can_carry() -> None:
    assert Measure.of("W1", "a", "req/s", [12_345.678]).value == 12_346.0


def test_every_subject_runs_once_a_round_and_each_round_begins_with_another() -> None:
    order = list(interleaved(["a", "b", "c"], rounds=4))

    assert Counter(order) == Counter((n, s) for n in range(4) for s in "abc")
    assert [subject for _, subject in order] == [*"abc", *"bca", *"cab", *"abc"]


def test_without_subjects_there_is_nothing_to_interleave() -> None:
    assert list(interleaved([], rounds=3)) == []


@pytest.mark.parametrize(
    ("share", "value"), [(0.0, 1), (0.5, 50), (0.99, 99), (0.991, 100), (1.0, 100)]
)
def test_a_percentile_is_a_value_that_was_seen(share: float, value: int) -> None:
    assert percentile(range(1, 101), share) == value


def test_a_ratio_compares_subjects_of_one_workload() -> None:
    measures = [
        Measure.of("W1", "mainspring", "req/s", [60.0]),
        Measure.of("W1", "empty@uvicorn", "req/s", [40.0]),
        Measure.of("W2", "falcon", "req/s", [10.0]),
    ]

    assert ratio(measures, workload="W1", subject="mainspring", to="empty@uvicorn") == 1.5
    assert ratio(measures, workload="W2", subject="falcon", to="empty@uvicorn") is None
    assert ratio(measures, workload="W1", subject="falcon", to="empty@uvicorn") is None


def test_details_are_shown_in_the_table_of_their_workload() -> None:
    found = families(["W1", "W1-cpu", "P7-start", "P7-tail", "P7-tail-p50", "W1"])

    assert found == {"W1": ["W1-cpu"], "P7-start": [], "P7-tail": ["P7-tail-p50"]}
