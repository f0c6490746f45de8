"""The servers that are compared, and what they are asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.data import tables
from bench.data.apps.world import LISTED
from bench.http.subjects import Subject, _granian, _mainspring, _uvicorn
from bench.http.workloads import Call, Workload

if TYPE_CHECKING:
    from collections.abc import Iterator

_APPS = "bench.data.apps"


def _ours() -> Iterator[Subject]:
    urls = {"postgresql": tables.postgresql_url(), "sqlite": f"sqlite:///{tables.sqlite_path()}"}
    for database, url in urls.items():
        for speed in ("hot", "select", "orm"):
            settings = {"BENCH_SPEED": speed, "DATABASE_URL": url}
            command = _mainspring(f"{_APPS}.mainspring_app:app")
            yield Subject(f"mainspring-{speed}@{database}", command, settings)


_POSTGRESQL = {"DATABASE_URL": tables.postgresql_url()}

SUBJECTS = {
    subject.name: subject
    for subject in (
        *_ours(),
        Subject("driver@granian-rsgi", _granian(f"{_APPS}.driver_app:app", "rsgi"), _POSTGRESQL),
        Subject("litestar+sqlalchemy", _uvicorn(f"{_APPS}.litestar_app:app"), _POSTGRESQL),
        Subject("fastapi+sqlalchemy", _uvicorn(f"{_APPS}.fastapi_app:app"), _POSTGRESQL),
    )
}

WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload(
            "W4",
            Call("GET", "/row/7"),
            200,
            tables.as_json(7),
            wrong=(Call("GET", "/row/seven"), Call("GET", f"/row/{tables.ROWS + 1}")),
        ),
        Workload(
            "list",
            Call("GET", "/rows"),
            200,
            [tables.as_json(number) for number in range(1, LISTED + 1)],
            wrong=(Call("GET", "/nothing"),),
        ),
    )
}
