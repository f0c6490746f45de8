"""The group `data`: what a row costs on its way from a database to the wire."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bench.data import embedded, tables, units
from bench.data.subjects import SUBJECTS as _SERVERS
from bench.data.subjects import WORKLOADS as _ASKED
from bench.http import capacity
from bench.plan import Outcome, Plan, Tick

if TYPE_CHECKING:
    from bench.plan import Group

SUBJECTS = (*_SERVERS, *(name for name in embedded.SUBJECTS))
WORKLOADS = (*_ASKED, *embedded.WORKLOADS)
PACKAGES = (
    *("aiosqlite", "apsw", "asyncpg", "fastapi", "granian", "litestar", "msgspec", "pydantic"),
    *("sqlalchemy", "uvicorn", "uvloop"),
)
BASELINES = ("driver@granian-rsgi", "fastapi+sqlalchemy", "sqlalchemy+aiosqlite")


def steps(plan: Plan) -> int:
    """One for every check and every measurement of every round."""
    return capacity.steps(plan, _SERVERS, _ASKED) + units.steps(plan)


def measure(plan: Plan, tick: Tick) -> Outcome:
    """Make the databases anew, check every server, measure W4 and lists; then goal P5."""
    outcome = Outcome()
    if any(plan.wants(name) for name in _ASKED):
        asyncio.run(tables.make())
    capacity.measure(plan, tick, outcome, _SERVERS, _ASKED)
    units.measure(plan, tick, outcome)
    return outcome


if TYPE_CHECKING:
    import sys

    _fits: Group = sys.modules[__name__]
