"""Large results: what is streamed or read again and again takes no more memory than once."""

from __future__ import annotations

import http.client
import re
import socket
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mainspring.data import Database, func, insert, select
from tests.data.shop import Sparse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import Connection

ROWS = 128_000
_MIB = 1024 * 1024

APP = """
import os
from collections.abc import AsyncIterator

from mainspring import App, Struct, anyone
from mainspring.data import Rows, hot, select
from mainspring.settings import Settings
from tests.data.shop import Sparse

app = App("large", settings=Settings(database_url=os.environ["URL"], log_level="critical"))


class Line(Struct):
    id: int
    number: int | None
    text: str | None


class Facts(Struct):
    facts: dict[str, list[str]] | None


lines = hot(select(Sparse).where(Sparse.facts.is_(None)), Line)


@app.get("/lines", allow=anyone, deadline=None)
async def export() -> AsyncIterator[Line]:
    async with app.database.unit(write=False) as db:
        async for line in db.each(lines):
            yield line


@app.get("/facts", allow=anyone)
async def facts() -> Facts | Rows:
    return select(Sparse).where(Sparse.facts.is_not(None))


@app.get("/", allow=anyone)
async def ready() -> dict[str, str]:
    return {}
"""


def _fill(connection: Connection) -> None:
    table = Sparse.__table__
    connection.execute(insert(table), [{"number": n, "text": "x" * 200} for n in range(1000)])
    while connection.scalar(select(func.count()).select_from(table)) < ROWS:  # type: ignore[operator]
        again = select(table.c.number, table.c.text)
        connection.execute(insert(table).from_select(["number", "text"], again))
    words = {str(i): ["word" * 24] * 10 for i in range(10_000)}
    connection.execute(insert(table).values(facts=words, number=1))
    connection.commit()


@contextmanager
def _serving(folder: Path, url: str) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    (folder / "large.py").write_text(APP)
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [sys.executable, "-m", "mainspring", "serve", "--app", "large:app"]
    path = f"{folder}:{Path(__file__).parents[3]}:{Path(__file__).parents[3] / 'src'}"
    process = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(port)],
        env={"PYTHONPATH": path, "URL": url},
        cwd=folder,
    )
    try:
        until = time.monotonic() + 20
        while True:
            try:
                assert _read(port, "/") == 2
                break
            except OSError:
                assert time.monotonic() < until
                time.sleep(0.05)
        yield port, process
    finally:
        process.terminate()
        process.wait(10)


def _read(port: int, path: str, *, lines: bool = False) -> int:
    """Bytes of an answer, or its lines."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        assert answer.status == 200
        seen = 0
        while part := answer.read(65_536):
            seen += part.count(b"\n") if lines else len(part)
        return seen


def _peak(process: subprocess.Popen[bytes]) -> int:
    status = Path(f"/proc/{process.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


@pytest.mark.timeout(120)
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's /proc")
async def test_memory_stays_flat(database: Database, url: str, tmp_path: Path) -> None:
    await database.on_connection(_fill)
    await database.close()
    with _serving(tmp_path, url) as (port, process):
        started = _peak(process)
        # 128,000 rows are 28 MB on the wire and 50 as objects.
        assert _read(port, "/lines", lines=True) == ROWS
        assert _read(port, "/lines", lines=True) == ROWS
        streamed = _peak(process)
        assert streamed - started < 12 * _MIB
        # A document of 10 MB is whole in memory a few times, but never once more per answer.
        sizes = {_read(port, "/facts") for _ in range(3)}
        few = _peak(process)
        sizes |= {_read(port, "/facts") for _ in range(12)}
        assert min(sizes) > 9 * _MIB
        assert _peak(process) - few < 30 * _MIB
