"""Where a run happened: cores, versions, and the pinning of processes to cores."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SERVER_CORE, GENERATOR_CORE = 0, 1


def pinned(core: int, command: list[str]) -> list[str]:
    """The command on one core only, or as it is where there is no second core or no taskset."""
    if (os.cpu_count() or 1) < 2 or shutil.which("taskset") is None:
        return command
    return ["taskset", "--cpu-list", str(core), *command]


def facts(packages: list[str]) -> dict[str, Any]:
    """What a reader needs to repeat the run: machine, Python and the versions of the packages."""
    return {
        "when": datetime.now(tz=UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "system": platform.platform(),
        "cpu": _cpu(),
        "cpu_count": os.cpu_count(),
        "pinned": pinned(SERVER_CORE, [])[:1] == ["taskset"],
        "versions": {name: _version(name) for name in packages},
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((x.partition(":")[2].strip() for x in lines if x.startswith("model name")), "")
