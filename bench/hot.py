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
from bench.machine import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_WARM_UP_S = 1.0
_RATE_HZ = 400


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
            yield [names[index] for index in sample], weight


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
        _record(chosen.subject, workload, output, seconds=chosen.seconds, native=chosen.native)
        stacks = stacks_of(json.loads(output.read_text()))
        _print(workload, hottest(stacks, limit=chosen.top), output)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench/profile.py", description=__doc__)
    parser.add_argument("--subject", choices=[*SUBJECTS], default="mainspring")
    parser.add_argument("--workloads", default="W1,W2,W3")
    parser.add_argument("--seconds", type=int, default=6)
    parser.add_argument("--top", type=int, default=25)
    parser.add_argument("--native", action="store_true", help="sample C frames too")
    return parser


def _record(subject: str, name: str, output: Path, *, seconds: int, native: bool) -> None:
    workload = WORKLOADS[name]
    with started(subject, workload) as server:
        drive(server, workload, seconds=_WARM_UP_S)
        options = ["--rate", str(_RATE_HZ), "--format", "speedscope", "--nonblocking"]
        if native:
            options = [*options[:-1], "--native"]
        command = ["record", "--pid", str(server.process.pid), "--duration", str(seconds), "-s"]
        sampler = subprocess.Popen(
            [str(Path(sys.prefix, "bin", "py-spy")), *command, *options, "-o", str(output)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        drive(server, workload, seconds=seconds)
        sampler.wait(timeout=seconds + 60)


def _print(workload: str, rows: list[Hot], output: Path) -> None:
    lines = [f"{row.self_percent:6.1f} {row.all_percent:6.1f}  {row.name}" for row in rows]
    sys.stdout.write("\n".join([f"\n{workload}\n  self    all  function", *lines]))
    sys.stdout.write(f"\n{output.relative_to(ROOT)}\n")
