"""What a run was asked to do, and the face of a group of benchmarks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from bench.measures import Measure


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The choices of one run."""

    subjects: tuple[str, ...] = ()
    """Names to compare, in the order of the table; empty means all."""
    workloads: tuple[str, ...] = ()
    """Names or beginnings of names; empty means all."""
    seconds: float = 4.0
    """Length of one measurement; its warm-up comes on top."""
    rounds: int = 3
    requests: int = 200_000
    """How many requests the memory must stay flat over."""

    def wants(self, workload: str) -> bool:
        """Whether the workload was asked for: `P7` asks for every workload of goal P7."""
        return not self.workloads or workload.startswith(self.workloads)

    def chosen(self, names: Sequence[str]) -> list[str]:
        """Those of the group's subjects that were asked for, in the group's order."""
        return [name for name in names if not self.subjects or name in self.subjects]


@dataclass(slots=True)
class Outcome:
    """What a group found: figures, and what could not be measured with the reason."""

    measures: list[Measure] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    """`workload subject` → reason. A run with failures ends with exit status 1."""


Tick = Callable[[str], None]
"""Called with the name of the step that begins now."""


class Group(Protocol):
    """A module `bench.<group>.group`; a new group is a new folder with this face."""

    SUBJECTS: tuple[str, ...]
    WORKLOADS: tuple[str, ...]
    PACKAGES: tuple[str, ...]
    """Distributions whose versions the results carry."""
    BASELINES: tuple[str, ...]
    """Subjects that the table's ratios are taken against."""

    def steps(self, plan: Plan) -> int:
        """How many times `measure` will tick."""
        ...

    def measure(self, plan: Plan, tick: Tick) -> Outcome:
        """Run everything the plan asks for."""
        ...
