"""W1 to W3: the ceiling of one server process on one core, and the CPU that a request costs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench import wrk
from bench.http.check import WrongAnswer, check
from bench.http.subjects import SUBJECTS, environment
from bench.http.workloads import WORKLOADS, Workload
from bench.measures import Measure, interleaved
from bench.servers import Server, ServerFailed, serving

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from bench.http.subjects import Subject
    from bench.plan import Outcome, Plan, Tick

    Subjects = Mapping[str, Subject]
    Workloads = Mapping[str, Workload]

WARM_UP_S = 1.0
FAILURES = (ServerFailed, WrongAnswer, wrk.GeneratorFailed, OSError, TimeoutError)


@dataclass(slots=True)
class _Rounds:
    per_second: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)


def _wanted(plan: Plan, workloads: Workloads) -> list[Workload]:
    return [workload for name, workload in workloads.items() if plan.wants(name)]


def steps(plan: Plan, subjects: Subjects = SUBJECTS, workloads: Workloads = WORKLOADS) -> int:
    """A check and `plan.rounds` measurements for every pair of workload and subject."""
    return len(_wanted(plan, workloads)) * len(plan.chosen([*subjects])) * (1 + plan.rounds)


def measure(
    plan: Plan,
    tick: Tick,
    outcome: Outcome,
    subjects: Subjects = SUBJECTS,
    workloads: Workloads = WORKLOADS,
) -> None:
    """Add requests per second and CPU per request of every subject that passes its check."""
    for workload in _wanted(plan, workloads):
        fit = _fit(plan, workload, subjects, tick, outcome)
        rounds = {name: _Rounds() for name in fit}
        for number, name in interleaved(fit, rounds=plan.rounds):
            tick(f"{workload.name} {name}, round {number + 1}")
            if f"{workload.name} {name}" in outcome.failures:
                continue
            try:
                per_second, cpu_us = _once(subjects[name], workload, seconds=plan.seconds)
            except FAILURES as error:
                outcome.failures[f"{workload.name} {name}"] = str(error)
                continue
            rounds[name].per_second.append(per_second)
            rounds[name].cpu_us.append(cpu_us)
        for name, seen in rounds.items():
            if seen.per_second:
                wall = Measure.of(workload.name, name, "req/s", seen.per_second)
                cpu = Measure.of(f"{workload.name}-cpu", name, "µs/req", seen.cpu_us)
                outcome.measures += [wall, cpu]


def _fit(
    plan: Plan, workload: Workload, subjects: Subjects, tick: Tick, outcome: Outcome
) -> list[str]:
    """The subjects that answer this workload rightly; the others are failures with a reason."""
    fit = []
    for name in plan.chosen([*subjects]):
        tick(f"{workload.name} {name}, check")
        try:
            with started(subjects[name], workload) as server:
                check(server.port, workload, refuses=not subjects[name].empty)
            fit.append(name)
        except FAILURES as error:
            outcome.failures[f"{workload.name} {name}"] = str(error)
    return fit


def started(subject: Subject, workload: Workload) -> AbstractContextManager[Server]:
    """A fresh server of the subject, ready for the workload."""
    where = environment(subject, workload=workload.name)
    return serving(subject.command, path=workload.call.path, environment=where)


def _once(subject: Subject, workload: Workload, *, seconds: float) -> tuple[float, float]:
    """Requests per second, and microseconds of CPU per request, of a fresh and warm server."""
    with started(subject, workload) as server:
        drive(server, workload, seconds=min(WARM_UP_S, seconds))
        before = server.cpu_s()
        load = drive(server, workload, seconds=seconds)
        used = server.cpu_s() - before
    return load.per_second, used * 1e6 / load.requests


def drive(server: Server, workload: Workload, *, seconds: float) -> wrk.Load:
    """Drive the workload's call at the server as fast as it answers."""
    call = workload.call
    return wrk.drive(
        f"http://127.0.0.1:{server.port}{call.path}",
        seconds=seconds,
        method=call.method,
        body=call.body,
        headers=call.headers,
    )
