"""The functions that a sampled server spends its time in."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.http.capacity import drive, started
from bench.http.subjects import SUBJECTS
from bench.http.workloads import WORKLOADS
from bench.machine import GENERATOR_CORE, ROOT, pinned

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bench.servers import Server

_WARM_UP_S = 1.0
_RATE_HZ = 200
_PY_SPY = str(Path(sys.prefix, "bin", "py-spy"))


@dataclass(frozen=True, slots=True)
class Hot:
    """One function's share of all samples, in percent."""

    name: str
    self_percent: float
    all_percent: float


def hottest(stacks: Iterable[tuple[Sequence[str], float]], *, limit: int) -> list[Hot]:
    """The functions with the largest own share; `stacks` run from the outermost frame inwards."""
    own: Counter[str] = Counter()
    held: Counter[str] = Counter()
    total = 0.0
    for frames, weight in stacks:
        if not frames:
            continue
        total += weight
        own[frames[-1]] += weight  # type: ignore[assignment]  # a Counter adds floats as well
        for name in set(frames):
            held[name] += weight  # type: ignore[assignment]  # likewise
    return [
        Hot(name, 100 * own[name] / total, 100 * held[name] / total)
        for name, _ in sorted(own.items(), key=lambda pair: -pair[1])[:limit]
    ]


def stacks_of(speedscope: dict[str, Any]) -> Iterable[tuple[list[str], float]]:
    """The samples of a speedscope document as stacks of `function (file:line)` and weights."""
    names = [_named(frame) for frame in speedscope["shared"]["frames"]]
    for profile in speedscope["profiles"]:
        for sample, weight in zip(profile["samples"], profile["weights"], strict=True):
            # py-spy's outermost frame is the process itself.
            stack = [names[index] for index in sample]
            yield [name for name in stack if not name.startswith("process ")], weight


def _named(frame: dict[str, Any]) -> str:
    file = frame.get("file") or ""
    for prefix in (f"{ROOT}/src/", f"{ROOT}/", f"{sys.prefix}/lib/"):
        file = file.removeprefix(prefix)
    return f"{frame['name']} ({file})"


def main(arguments: Sequence[str]) -> int:
    """Profile one subject on the chosen workloads and print the tables."""
    chosen = _parser().parse_args(arguments)
    folder = ROOT / "build" / "profile"
    folder.mkdir(parents=True, exist_ok=True)
    for workload in chosen.workloads.split(","):
        output = folder / f"{chosen.subject}-{workload}.speedscope.json"
        busiest = _record(
            chosen.subject, workload, output, seconds=chosen.seconds, native=chosen.native
        )
        stacks = stacks_of(json.loads(output.read_text()))
        _print(workload, hottest(stacks, limit=chosen.top))
        sys.stdout.write(f"other threads: {1 - busiest:.1%} of the processor time\n")
        sys.stdout.write(f"{output.relative_to(ROOT)}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench/profile.py", description=__doc__)
    parser.add_argument("--subject", choices=[*SUBJECTS], default="mainspring")
    parser.add_argument("--workloads", default="W1,W2,W3")
    parser.add_argument("--seconds", type=int, default=6)
    parser.add_argument("--top", type=int, default=25)
    parser.add_argument("--native", action="store_true", help="sample C frames too")
    return parser


def _record(subject: str, name: str, output: Path, *, seconds: int, native: bool) -> float:
    """Sample the subject under load; the busiest thread's share of its processor time.

    py-spy stops the process for each sample and then rarely finds any but the busiest thread
    running, so the share of the others is taken from the kernel's accounts.
    """
    workload = WORKLOADS[name]
    with started(SUBJECTS[subject], workload) as server:
        drive(server, workload, seconds=_WARM_UP_S)
        # Only who holds the interpreter's lock: threads that wait are not a request's cost.
        options = ["--rate", str(_RATE_HZ), "--format", "speedscope", "--gil"]
        if native:
            options.append("--native")
        command = ["record", "--pid", str(server.process.pid), "--duration", str(seconds), "-s"]
        sampler = subprocess.Popen(
            pinned(GENERATOR_CORE, [_PY_SPY, *command, *options, "-o", str(output)]),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        before = _threads_s(server)
        drive(server, workload, seconds=seconds)
        after = _threads_s(server)
        sampler.wait(timeout=seconds + 60)
    used = [after[thread] - before.get(thread, 0.0) for thread in after]
    return max(used) / sum(used)


def _threads_s(server: Server) -> dict[int, float]:
    threads = [thread for process in server.tree() for thread in process.threads()]
    return {thread.id: thread.user_time + thread.system_time for thread in threads}


def _print(workload: str, rows: list[Hot]) -> None:
    lines = [f"{row.self_percent:6.1f} {row.all_percent:6.1f}  {row.name}" for row in rows]
    sys.stdout.write("\n".join([f"\n{workload}\n  self    all  function", *lines, ""]))
