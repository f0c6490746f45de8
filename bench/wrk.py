"""The load generator: wrk, closed loop, pinned to its own core, reporting as JSON."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.machine import GENERATOR_CORE, pinned

if TYPE_CHECKING:
    from collections.abc import Mapping

CONNECTIONS = 64
_MISSING = "wrk is not installed: apt-get install -y wrk (or: scripts/services wrk)"

# No `request` function: wrk then formats the request once and sends the same bytes, so that
# the generator has cycles to spare.
_SCRIPT = """\
wrk.method = {method}
wrk.body = {body}
{headers}
function done(summary, latency)
  local e = summary.errors
  io.write(string.format(
    '\\nRESULT {{"requests":%d,"duration_us":%d,"failed":%d,"p50_us":%d,"p99_us":%d}}\\n',
    summary.requests, summary.duration, e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50), latency:percentile(99)))
end
"""


class GeneratorFailed(Exception):
    """The generator is missing, failed, or saw errors: the figures would mean nothing."""


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of the generator saw."""

    requests: int
    duration_us: int
    failed: int
    p50_us: int
    p99_us: int

    @property
    def per_second(self) -> float:
        """Answered requests per second."""
        return self.requests / (self.duration_us / 1e6)


def drive(
    url: str,
    *,
    seconds: float,
    method: str = "GET",
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
) -> Load:
    """Send the same request over 64 connections, as fast as it is answered.

    Raises:
        GeneratorFailed: wrk is missing, or any request failed or was answered with 4xx or 5xx.
    """
    if shutil.which("wrk") is None:
        raise GeneratorFailed(_MISSING)
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "request.lua")
        script.write_text(_script(method, body, headers or {}))
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(seconds))}s"]
        finished = subprocess.run(
            pinned(GENERATOR_CORE, [*command, "--timeout", "5s", "-s", str(script), url]),
            capture_output=True,
            text=True,
            check=False,
        )
    return _read(finished.stdout, finished.stderr)


def _read(output: str, errors: str) -> Load:
    found = [line for line in output.splitlines() if line.startswith("RESULT ")]
    if not found:
        raise GeneratorFailed(f"wrk gave no result: {(errors or output).strip()[-500:]}")
    load = Load(**json.loads(found[0].removeprefix("RESULT ")))
    if load.failed or not load.requests:
        raise GeneratorFailed(f"{load.failed} of {load.requests} requests failed")
    return load


def _script(method: str, body: bytes, headers: Mapping[str, str]) -> str:
    lines = "\n".join(
        f"wrk.headers[{_quoted(k)}] = {_quoted(v)}" for k, v in sorted(headers.items())
    )
    return _SCRIPT.format(
        method=_quoted(method), body=_quoted(body.decode()) if body else "nil", headers=lines
    )


def _quoted(text: str) -> str:
    # A JSON string of ASCII text without control characters is also a Lua string.
    return json.dumps(text)
