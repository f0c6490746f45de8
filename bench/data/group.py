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


# The two speeds between say nothing new about a thousand rows.
_LISTING = {
    name: subject
    for name, subject in _SERVERS.items()
    if "select@" not in name and name != "mainspring-orm@sqlite"
}
_PARTS = (
    (_SERVERS, {"W4": _ASKED["W4"]}),
    (_LISTING, {"list": _ASKED["list"]}),
)


def steps(plan: Plan) -> int:
    """One for every check and every measurement of every round."""
    return sum(capacity.steps(plan, *part) for part in _PARTS) + units.steps(plan)


def measure(plan: Plan, tick: Tick) -> Outcome:
    """Make the databases anew, check every server, measure W4 and lists; then goal P5."""
    outcome = Outcome()
    if any(plan.wants(name) for name in _ASKED):
        asyncio.run(tables.make())
    for part in _PARTS:
        capacity.measure(plan, tick, outcome, *part)
    units.measure(plan, tick, outcome)
    return outcome


if TYPE_CHECKING:
    import sys

    _fits: Group = sys.modules[__name__]
