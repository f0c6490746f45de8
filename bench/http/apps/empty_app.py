"""The empty application: constant bytes for whatever is asked, in ASGI and in RSGI.

`BENCH_WORKLOAD` picks the constant when the process starts, so that a framework's answer and the
empty one have the same length. Nothing is read, routed, parsed or encoded per request.
"""

from __future__ import annotations

import json
import os
from typing import Any

from bench.http.workloads import WORKLOADS

_workload = WORKLOADS[os.environ["BENCH_WORKLOAD"]]
_body = json.dumps(_workload.answer, separators=(",", ":")).encode()
_start = {
    "type": "http.response.start",
    "status": _workload.status,
    "headers": [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(_body)).encode()),
    ],
}
_end = {"type": "http.response.body", "body": _body}
_rsgi_headers = [("content-type", "application/json")]


async def app(_scope: Any, _receive: Any, send: Any) -> None:
    await send(_start)
    await send(_end)


async def rsgi(_scope: Any, proto: Any) -> None:
    proto.response_bytes(_workload.status, _rsgi_headers, _body)
