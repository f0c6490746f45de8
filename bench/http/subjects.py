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

_BARE = {"BENCH_BARE": "1", "LOG_LEVEL": "warning"}

SUBJECTS = {
    subject.name: subject
    for subject in (
        Subject("mainspring", _mainspring(_MAINSPRING)),
        Subject("mainspring@uvicorn", _uvicorn(_MAINSPRING)),
        Subject("mainspring-bare", _mainspring(_MAINSPRING), _BARE),
        Subject("empty@uvicorn", _uvicorn(f"{_APPS}.empty_app:app"), empty=True),
        Subject("empty@granian", _granian(f"{_APPS}.empty_app:app", "asginl"), empty=True),
        Subject("empty@granian-rsgi", _granian(f"{_APPS}.empty_app:rsgi", "rsgi"), empty=True),
        Subject("raw@uvicorn", _uvicorn(f"{_APPS}.raw_app:app")),
        Subject("emmett55", _granian(f"{_APPS}.emmett55_app:app", "rsgi")),
        Subject("falcon", _uvicorn(f"{_APPS}.falcon_app:app")),
        Subject("starlette", _uvicorn(f"{_APPS}.starlette_app:app")),
        Subject("litestar", _uvicorn(f"{_APPS}.litestar_app:app")),
        Subject("fastapi", _uvicorn(f"{_APPS}.fastapi_app:app")),
    )
}

# The harness and Litestar bring rich, and structlog imports whatever rich it finds; neither
# neighbour installs it, so both start without it.
_WITHOUT_RICH = (
    "import runpy, sys; sys.modules['rich'] = None;"
    " runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
)


def _alone(command: list[str]) -> list[str]:
    python, _, *module = command
    return [python, "-c", _WITHOUT_RICH, *module]


WITH_DATABASE = {
    subject.name: subject
    for subject in (
        Subject("mainspring", _alone(_mainspring(f"{_APPS}.mainspring_database_app:app"))),
        Subject("fastapi+sqlalchemy", _alone(_uvicorn(f"{_APPS}.fastapi_sqlalchemy_app:app"))),
    )
}
"""For start time and idle memory: the same routes, and `/one`, which asks a SQLite database."""


def environment(subject: Subject, *, workload: str) -> dict[str, str]:
    """The environment of one start: the repository's sources and the workload's name."""
    return {
        "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}",
        "PYTHONUNBUFFERED": "0",
        "BENCH_WORKLOAD": workload,
        **subject.environment,
    }
