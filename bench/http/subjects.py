"""The servers that are compared, each started as its own documentation advises for production."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

from bench.machine import ROOT


@dataclass(frozen=True, slots=True)
class Subject:
    """How one subject starts; `{port}` is filled in later."""

    name: str
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    empty: bool = False
    """Answers a constant to everything, so there is nothing for it to refuse."""


def _uvicorn(module: str) -> list[str]:
    # One process, uvloop and httptools, access log off: Uvicorn's "Deployment" and "Settings".
    options = "--host 127.0.0.1 --port {port} --loop uvloop --http httptools --no-access-log"
    return [sys.executable, "-m", "uvicorn", *options.split(), "--log-level", "warning", module]


def _granian(module: str, interface: str) -> list[str]:
    # Granian's README: one worker a core, single-threaded runtime for few processes; HTTP/1
    # without web sockets is how its own benchmarks run. `asginl` is ASGI without lifespan.
    options = (
        "--host 127.0.0.1 --port {port} --workers 1 --runtime-mode st --runtime-threads 1"
        f" --loop uvloop --http 1 --no-ws --log-level warning --interface {interface}"
    )
    return [sys.executable, "-m", "granian", *options.split(), module]


def _mainspring(module: str) -> list[str]:
    options = "--host 127.0.0.1 --port {port}"
    return [sys.executable, "-m", "mainspring", "serve", "--app", module, *options.split()]


_APPS = "bench.http.apps"
_MAINSPRING = f"{_APPS}.mainspring_app:app"

SUBJECTS = {
    subject.name: subject
    for subject in (
        Subject("mainspring", _mainspring(_MAINSPRING)),
        Subject("mainspring@uvicorn", _uvicorn(_MAINSPRING)),
        Subject("mainspring-bare", _mainspring(_MAINSPRING), {"BENCH_BARE": "1"}),
        Subject("empty@uvicorn", _uvicorn(f"{_APPS}.empty_app:app"), empty=True),
        Subject("empty@granian", _granian(f"{_APPS}.empty_app:app", "asginl"), empty=True),
        Subject("empty@granian-rsgi", _granian(f"{_APPS}.empty_app:rsgi", "rsgi"), empty=True),
        Subject("emmett55", _granian(f"{_APPS}.emmett55_app:app", "rsgi")),
        Subject("falcon", _uvicorn(f"{_APPS}.falcon_app:app")),
        Subject("starlette", _uvicorn(f"{_APPS}.starlette_app:app")),
        Subject("litestar", _uvicorn(f"{_APPS}.litestar_app:app")),
        Subject("fastapi", _uvicorn(f"{_APPS}.fastapi_app:app")),
    )
}

WITH_DATABASE = Subject("fastapi+sqlalchemy", _uvicorn(f"{_APPS}.fastapi_sqlalchemy_app:app"))
"""Stands beside `mainspring` where start time and idle memory are compared."""


def environment(subject: Subject, *, workload: str) -> dict[str, str]:
    """The environment of one start: the repository's sources and the workload's name."""
    return {
        "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}",
        "PYTHONUNBUFFERED": "0",
        "BENCH_WORKLOAD": workload,
        **subject.environment,
    }
