"""Goal P7: start, idle memory, memory over many requests, and the tail at half the ceiling."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from bench import steady
from bench.http.capacity import FAILURES, drive
from bench.http.check import check
from bench.http.subjects import SUBJECTS, WITH_DATABASE, environment
from bench.http.workloads import WORKLOADS as ASKED
from bench.http.workloads import Call, Workload
from bench.measures import Measure, interleaved
from bench.servers import Server, serving

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from bench.plan import Outcome, Plan, Tick

NEIGHBOURS = tuple(name for name in WITH_DATABASE if name not in SUBJECTS)
WORKLOADS = ("P7-start", "P7-idle", "P7-growth", "P7-tail")

_STARTS = 5
_SETTLE_S = 1.0
_TAIL_S = 5.0
_MB = 1e6
_ONE = Workload("P7-start", Call("GET", "/one"), 200, {"one": 1})
_COMPARED = {
    "P7-start": tuple(WITH_DATABASE),
    "P7-growth": ("mainspring",),
    "P7-tail": ("mainspring", "empty@uvicorn", "fastapi"),
}
_Figures = dict[str, tuple[str, float]]
"""What one run of a probe found: name of the workload → unit and figure."""
_Probe = Callable[[str], _Figures]


def _parts(plan: Plan) -> dict[str, list[str]]:
    parts = {
        "P7-start": plan.wants("P7-start") or plan.wants("P7-idle"),
        "P7-growth": plan.wants("P7-growth"),
        "P7-tail": plan.wants("P7-tail"),
    }
    return {part: plan.chosen(_COMPARED[part]) for part, wanted in parts.items() if wanted}


def _rounds(part: str, plan: Plan) -> int:
    # Growth is a trend within one long run, so it is not repeated.
    return {"P7-start": _STARTS, "P7-growth": 1, "P7-tail": plan.rounds}[part]


def steps(plan: Plan) -> int:
    """One for every start, long run and constant-rate run."""
    return sum(_rounds(part, plan) * len(names) for part, names in _parts(plan).items())


def measure(plan: Plan, tick: Tick, outcome: Outcome) -> None:
    """Add the figures of goal P7 that the plan asks for."""
    probes: dict[str, _Probe] = {
        "P7-start": _start,
        "P7-growth": lambda name: _growth(name, requests=plan.requests),
        "P7-tail": lambda name: _tail(name, seconds=min(_TAIL_S, plan.seconds)),
    }
    for part, names in _parts(plan).items():
        runs = _runs(part, names, probes[part], plan, tick, outcome)
        outcome.measures += [
            Measure.of(workload, name, unit, rounds)
            for (workload, unit), by_name in _by_workload(runs).items()
            for name, rounds in by_name.items()
        ]


def _runs(
    part: str, names: list[str], probe: _Probe, plan: Plan, tick: Tick, outcome: Outcome
) -> list[tuple[str, _Figures]]:
    """The probe's figures with their subject; a subject that failed once is not asked again."""
    runs: list[tuple[str, _Figures]] = []
    for number, name in interleaved(names, rounds=_rounds(part, plan)):
        tick(f"{part} {name}, round {number + 1}")
        if f"{part} {name}" in outcome.failures:
            continue
        try:
            runs.append((name, probe(name)))
        except FAILURES as error:
            outcome.failures[f"{part} {name}"] = str(error)
    return sorted(runs, key=lambda run: names.index(run[0]))


def _by_workload(
    runs: list[tuple[str, _Figures]],
) -> dict[tuple[str, str], dict[str, list[float]]]:
    """Workload and unit → subject → the figure of every round."""
    table: dict[tuple[str, str], dict[str, list[float]]] = {}
    for name, figures in runs:
        for workload, (unit, value) in figures.items():
            table.setdefault((workload, unit), {}).setdefault(name, []).append(value)
    return table


def _started(name: str) -> AbstractContextManager[Server]:
    subject = SUBJECTS[name]
    where = environment(subject, workload="W1")
    return serving(subject.command, path=ASKED["W1"].call.path, environment=where)


def _start(name: str) -> _Figures:
    """Process start to the first answer out of a database, and what is held when idle."""
    subject = WITH_DATABASE[name]
    with tempfile.TemporaryDirectory() as folder:
        where = environment(subject, workload="W1")
        where["DATABASE_URL"] = f"sqlite:///{folder}/bench.db"
        with serving(subject.command, path=_ONE.call.path, environment=where) as server:
            used = server.cpu_s()
            check(server.port, _ONE)
            time.sleep(_SETTLE_S)
            memory = server.memory()
            return {
                "P7-start": ("s", server.ready_s),
                "P7-start-cpu": ("s CPU", used),
                "P7-idle": ("MB RSS", memory.rss_bytes / _MB),
                "P7-idle-pss": ("MB PSS", memory.pss_bytes / _MB),
            }


def _growth(name: str, *, requests: int) -> _Figures:
    """How much RSS grows over `requests` requests, once a tenth of them has warmed the process."""
    with _started(name) as server:
        _answer(server, requests // 10)
        before = server.memory().rss_bytes
        _answer(server, requests)
        grown = (server.memory().rss_bytes - before) / _MB
    return {"P7-growth": (f"MB RSS over {requests} requests", grown)}


def _answer(server: Server, requests: int) -> None:
    """Drive the three workloads in turn until so many requests were answered."""
    answered = 0
    while answered < requests:
        for workload in ASKED.values():
            answered += drive(server, workload, seconds=1).requests


def _tail(name: str, *, seconds: float) -> _Figures:
    """p99 / p50 of W1 at half of the ceiling that the same process has just shown."""
    workload = ASKED["W1"]
    with _started(name) as server:
        drive(server, workload, seconds=1)
        ceiling = drive(server, workload, seconds=2).per_second
        request = f"GET {workload.call.path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n"
        seen = steady.ask(server.port, request.encode(), rate=ceiling / 2, seconds=seconds)
    return {
        "P7-tail": ("p99/p50", seen.p99_ms / seen.p50_ms),
        "P7-tail-p50": ("ms", seen.p50_ms),
        "P7-tail-p99": ("ms", seen.p99_ms),
        "P7-tail-kept": ("answered/offered", seen.answered_per_second / seen.offered_per_second),
    }
