"""The tables that a person reads; the files are for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from bench.measures import Measure, ratio

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from bench.plan import Outcome

_TIMES, _NOTHING = "\N{MULTIPLICATION SIGN}", "\N{EN DASH}"


def show(outcome: Outcome, *, baselines: Sequence[str], console: Console) -> None:
    """One table a workload, then what failed and why.

    A detail such as CPU per request has its ratio against the first baseline in brackets.
    """
    # Wider than a narrow log's 80 columns, so that no name is cut.
    console.width = max(console.width, 120)
    for workload, details in families([m.workload for m in outcome.measures]).items():
        console.print(_table(workload, details, outcome.measures, baselines))
    for what, reason in outcome.failures.items():
        console.print(f"[red]not measured[/red] {what}: ", end="")
        console.print(reason or "no reason given", markup=False)


def families(workloads: Sequence[str]) -> dict[str, list[str]]:
    """Workload → its details: `W1-cpu` is a detail of `W1` and gets a column in its table."""
    names = dict.fromkeys(workloads)
    parents: dict[str, list[str]] = {}
    for name in names:
        parent = next((p for p in names if name.startswith(f"{p}-")), None)
        parents.setdefault(parent or name, [])
        if parent:
            parents[parent].append(name)
    return parents


def _table(
    workload: str, details: list[str], measures: list[Measure], baselines: Sequence[str]
) -> Table:
    rows = [m for m in measures if m.workload == workload]
    table = Table(title=f"{workload}, {rows[0].unit}", title_justify="left")
    table.add_column("subject", no_wrap=True)
    table.add_column("median", justify="right")
    for baseline in baselines:
        table.add_column(f"{_TIMES} {baseline}", justify="right", no_wrap=True)
    table.add_column("spread", justify="right")
    for detail in details:
        unit = next(m.unit for m in measures if m.workload == detail)
        table.add_column(unit, justify="right", no_wrap=True)
    for row in rows:
        ratios = [_ratio(row, to=baseline, among=measures) for baseline in baselines]
        extras = [_extra(row, detail, measures, baselines[0]) for detail in details]
        table.add_row(row.subject, f"{row.value:,.5g}", *ratios, f"{row.spread:.0%}", *extras)
    return table


def _ratio(row: Measure, *, to: str, among: list[Measure]) -> str:
    value = ratio(among, workload=row.workload, subject=row.subject, to=to)
    return _NOTHING if value is None else f"{value:.2f}"


def _extra(row: Measure, detail: str, measures: list[Measure], baseline: str) -> str:
    found = [m for m in measures if m.workload == detail and m.subject == row.subject]
    if not found:
        return _NOTHING
    return f"{found[0].value:,.4g} ({_ratio(found[0], to=baseline, among=measures)})"
