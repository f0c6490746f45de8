"""The arithmetic of a comparison: order of rounds, medians, ratios, and the shape of a result.

Pure: nothing here starts, waits or reads a clock.
"""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure of one subject: the median of its rounds."""

    workload: str
    subject: str
    value: float
    unit: str
    rounds: tuple[float, ...]

    @classmethod
    def of(cls, workload: str, subject: str, unit: str, rounds: Sequence[float]) -> Self:
        """The measure of these rounds; at least one is needed."""
        value = statistics.median(rounds)
        return cls(workload, subject, _figures(value), unit, tuple(map(_figures, rounds)))

    @property
    def spread(self) -> float:
        """(highest - lowest) / median of the rounds: below this, a difference means nothing."""
        return (max(self.rounds) - min(self.rounds)) / self.value if self.value else 0.0

    def as_json(self) -> dict[str, Any]:
        """The row of `bench/results/<group>.json`."""
        return {**asdict(self), "rounds": list(self.rounds)}


def _figures(value: float) -> float:
    """Five significant figures: more would be noise written down."""
    return float(f"{value:.5g}")


def interleaved(subjects: Sequence[str], *, rounds: int) -> Iterator[tuple[int, str]]:
    """Every subject once a round, each round begun by the next subject.

    A machine that slows down for a while then slows all of them, and none always comes first.
    """
    for number in range(rounds):
        first = number % len(subjects) if subjects else 0
        for subject in (*subjects[first:], *subjects[:first]):
            yield number, subject


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value that `share` of the ordered values do not exceed (nearest rank)."""
    rank = max(1, -(-len(ordered) * share // 1))
    return ordered[min(len(ordered), int(rank)) - 1]


def ratio(measures: Iterable[Measure], *, workload: str, subject: str, to: str) -> float | None:
    """How many times `to`'s figure `subject`'s is; None when one of them was not measured."""
    values = {m.subject: m.value for m in measures if m.workload == workload}
    if subject not in values or not values.get(to):
        return None
    return values[subject] / values[to]
