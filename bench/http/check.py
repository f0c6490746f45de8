"""Before anything is timed: is the answer right, and is wrong input refused?"""

from __future__ import annotations

import http.client
import json
from contextlib import closing
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.http.workloads import Call, Workload


class WrongAnswer(Exception):
    """A subject answered something else than the workload defines; timing it would be unfair."""


def check(port: int, workload: Workload, *, refuses: bool = True) -> None:
    """Ask once rightly and, if `refuses`, in every wrong way.

    Raises:
        WrongAnswer: another status or JSON than the workload's, or no 4xx for wrong input.
    """
    status, content_type, body = _asked(port, workload.call)
    if status != workload.status or _json(body) != workload.answer:
        raise WrongAnswer(f"{workload.name}: {status} {body[:200]!r}")
    if not content_type.startswith("application/json"):
        raise WrongAnswer(f"{workload.name}: content type {content_type!r}")
    for wrong in workload.wrong if refuses else ():
        status, _, _ = _asked(port, wrong)
        if not 400 <= status < 500:
            said = f"{wrong.method} {wrong.path} {wrong.body[:80]!r}"
            raise WrongAnswer(f"{workload.name}: {status} where a 4xx is due: {said}")


def _asked(port: int, call: Call) -> tuple[int, str, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with closing(connection):
        connection.request(call.method, call.path, call.body or None, call.headers)
        answer = connection.getresponse()
        return answer.status, answer.headers.get("Content-Type", ""), answer.read()


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None
