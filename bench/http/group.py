"""The group `http`: what a request costs where the framework is all there is to pay for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.http import capacity, flatness
from bench.http.subjects import SUBJECTS as _SUBJECTS
from bench.http.workloads import WORKLOADS as _WORKLOADS
from bench.plan import Outcome, Plan, Tick

if TYPE_CHECKING:
    from bench.plan import Group

SUBJECTS = (*_SUBJECTS, *flatness.NEIGHBOURS)
WORKLOADS = (*_WORKLOADS, *flatness.WORKLOADS)
PACKAGES = (
    *(
        "emmett55",
        "falcon",
        "fastapi",
        "granian",
        "httptools",
        "litestar",
        "msgspec",
        "orjson",
        "pydantic",
    ),
    *("sqlalchemy", "starlette", "uvicorn", "uvloop"),
)
BASELINES = ("empty@uvicorn", "mainspring")


def steps(plan: Plan) -> int:
    """One for every check, every measurement of every round, and every part of P7."""
    return capacity.steps(plan) + flatness.steps(plan)


def measure(plan: Plan, tick: Tick) -> Outcome:
    """Check every subject, then measure W1 to W3 and goal P7."""
    outcome = Outcome()
    capacity.measure(plan, tick, outcome)
    flatness.measure(plan, tick, outcome)
    return outcome


if TYPE_CHECKING:
    import sys

    _fits: Group = sys.modules[__name__]
