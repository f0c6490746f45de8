"""The command line of the comparisons: read the plan, run the group, write and show the results."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, cast

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench import machine, report
from bench.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.plan import Group, Outcome

_HERE = Path(__file__).resolve().parent


def groups() -> list[str]:
    """Names of the groups: the folders that hold a `group.py`."""
    return sorted(found.parent.name for found in _HERE.glob("*/group.py"))


def main(arguments: Sequence[str]) -> int:
    """Run one group; 0 when everything asked for was measured, 1 when something failed."""
    chosen = _parser().parse_args(arguments)
    group = cast("Group", importlib.import_module(f"bench.{chosen.group}.group"))
    plan = _plan(chosen)
    if unknown := _unknown(plan, group):
        sys.stderr.write(f"{unknown}\n")
        return 2
    outcome = _measured(group, plan)
    output = Path(chosen.output or _HERE / "results" / f"{chosen.group}.json")
    _write(output, outcome, group, plan)
    _show(outcome, group, as_json=chosen.json)
    return 1 if outcome.failures else 0


def _parser() -> argparse.ArgumentParser:
    default = Plan()
    parser = argparse.ArgumentParser(prog="bench/run.py", description=__doc__)
    parser.add_argument("--group", choices=groups(), default="http")
    parser.add_argument("--subjects", default="", help="names, separated by commas; default all")
    parser.add_argument(
        "--workloads", default="", help="names or beginnings (P7), separated by commas; default all"
    )
    parser.add_argument("--seconds", type=float, default=default.seconds, help="per measurement")
    parser.add_argument("--rounds", type=int, default=default.rounds)
    parser.add_argument(
        "--requests", type=int, default=default.requests, help="memory stays flat over so many"
    )
    parser.add_argument("--output", help="default: bench/results/<group>.json")
    parser.add_argument("--json", action="store_true", help="print the results as JSON, no tables")
    return parser


def _plan(chosen: argparse.Namespace) -> Plan:
    return Plan(
        subjects=tuple(filter(None, chosen.subjects.split(","))),
        workloads=tuple(filter(None, chosen.workloads.split(","))),
        seconds=chosen.seconds,
        rounds=max(1, chosen.rounds),
        requests=chosen.requests,
    )


def _unknown(plan: Plan, group: Group) -> str | None:
    strange = [name for name in plan.subjects if name not in group.SUBJECTS]
    if strange:
        return f"unknown subjects {', '.join(strange)}; there are {', '.join(group.SUBJECTS)}"
    strange = [w for w in plan.workloads if not any(x.startswith(w) for x in group.WORKLOADS)]
    if strange:
        return f"unknown workloads {', '.join(strange)}; there are {', '.join(group.WORKLOADS)}"
    return None


def _measured(group: Group, plan: Plan) -> Outcome:
    columns = (TextColumn("{task.description:44}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        task = progress.add_task("", total=group.steps(plan), completed=-1)

        def tick(step: str) -> None:
            progress.update(task, advance=1, description=step)

        outcome = group.measure(plan, tick)
        progress.update(task, advance=1, description="done")
    return outcome


def _write(output: Path, outcome: Outcome, group: Group, plan: Plan) -> None:
    output.parent.mkdir(parents=True, exist_ok=True)
    rows = ",\n".join(
        json.dumps(measure.as_json(), ensure_ascii=False) for measure in outcome.measures
    )
    output.write_text(f"[\n{rows}\n]\n")
    about = {
        **machine.facts([*group.PACKAGES]),
        "plan": asdict(plan),
        "not_measured": outcome.failures,
    }
    text = json.dumps(about, indent=2, ensure_ascii=False)
    output.with_suffix(".meta.json").write_text(f"{text}\n")


def _show(outcome: Outcome, group: Group, *, as_json: bool) -> None:
    if as_json:
        rows = [measure.as_json() for measure in outcome.measures]
        sys.stdout.write(f"{json.dumps(rows, ensure_ascii=False)}\n")
        return
    report.show(outcome, baselines=group.BASELINES, console=Console())
