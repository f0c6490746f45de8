"""Conduit as a process of its own, on each database."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
CONDUIT = ROOT / "examples" / "conduit"
SECRET = "0123456789abcdef0123456789abcdef"


def mainspring(*arguments: str, cwd: Path, **environment: str) -> None:
    """Run a command to its end; its output is the failure's message."""
    done = subprocess.run(
        [sys.executable, "-m", "mainspring", *arguments],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def serving(cwd: Path, **environment: str) -> Iterator[str]:
    """The URL of `mainspring serve` in a folder, until the end of the block."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = subprocess.DEVNULL
    command = [sys.executable, "-m", "mainspring", "serve", "--port", str(port)]
    process = subprocess.Popen(command, cwd=cwd, env=os.environ | environment, stdout=log)
    try:
        _wait_for(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        assert process.wait(timeout=30) == 0


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    ends = time.monotonic() + 30
    while time.monotonic() < ends:
        assert process.poll() is None, "the server ended while starting"
        try:
            httpx.get(f"http://127.0.0.1:{port}/", timeout=1)
        except httpx.HTTPError:
            time.sleep(0.02)
        else:
            return
    pytest.fail("the server did not answer within 30 s")


@pytest.fixture(scope="module", params=["sqlite", "postgresql", "mysql"])
def conduit(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The URL of Conduit's API over an empty, migrated database."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('conduit') / 'app.db'}"
    else:
        url = request.getfixturevalue(f"{request.param}_database")
    mainspring("migrate", cwd=CONDUIT, DATABASE_URL=url, SECRET_KEY=SECRET)
    settings = {
        "DATABASE_URL": url,
        "SECRET_KEY": SECRET,
        # A statement that one place sends again and again is a 500, and so a failed test.
        "MAINSPRING_REPEATED_STATEMENTS": "error",
    }
    with serving(CONDUIT, **settings) as base:
        yield f"{base}/api"
