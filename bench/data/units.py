"""P5: units of work on SQLite within one process, beside SQLAlchemy on aiosqlite."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from bench.data.embedded import SUBJECTS, WORKLOADS
from bench.machine import ROOT, SERVER_CORE, pinned
from bench.measures import Measure, interleaved

if TYPE_CHECKING:
    from bench.plan import Outcome, Plan, Tick

_BOUND_S = 60.0
# One process does nothing else, so that a second is thousands of units.
_UNITS_S = 1.0


class UnitsFailed(Exception):
    """The subject gave a wrong row, or did not write; the text is what it said."""


def _workloads(plan: Plan) -> list[str]:
    return [name for name in WORKLOADS if plan.wants(name)]


def steps(plan: Plan) -> int:
    """A process for every round of every pair."""
    return len(_workloads(plan)) * len(plan.chosen([*SUBJECTS])) * plan.rounds


def measure(plan: Plan, tick: Tick, outcome: Outcome) -> None:
    """Add microseconds per unit; each process looks at its own work before and after."""
    for workload in _workloads(plan):
        rounds: dict[str, list[dict[str, float]]] = {}
        for number, name in interleaved(plan.chosen([*SUBJECTS]), rounds=plan.rounds):
            tick(f"{workload} {name}, round {number + 1}")
            try:
                figures = _once(name, workload, seconds=min(plan.seconds, _UNITS_S))
            except (UnitsFailed, subprocess.TimeoutExpired) as error:
                outcome.failures[f"{workload} {name}"] = str(error)
                continue
            rounds.setdefault(name, []).append(figures)
        for name, seen in rounds.items():
            wall = [figures["wall_us"] for figures in seen]
            cpu = [figures["cpu_us"] for figures in seen]
            outcome.measures += [
                Measure.of(workload, name, "µs/unit", wall),
                Measure.of(f"{workload}-cpu", name, "µs cpu/unit", cpu),
            ]


def _once(name: str, workload: str, *, seconds: float) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.data.embedded", name, workload, str(seconds)]
    finished = subprocess.run(
        pinned(SERVER_CORE, command),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"},
        capture_output=True,
        text=True,
        timeout=_BOUND_S,
        check=False,
    )
    if finished.returncode:
        raise UnitsFailed(finished.stderr.strip()[-2000:])
    figures: dict[str, float] = json.loads(finished.stdout)
    return figures
