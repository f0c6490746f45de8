"""Did a server do what a case asks for?"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.serve.cases import TOKEN
from tests.serve.wire import exchange

if TYPE_CHECKING:
    from tests.serve.cases import Case

# After these nobody knows where the message ends; after the others the next one may be served.
_FRAMING = {"T1", "T2", "T3", "T4", "T7"}
_PROBE = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What happened, and whether it is all right.

    Attributes:
        exact: the statuses are those of the table.
        safe: nothing was served that must not be, and the connection went on or ended as it
            must. A server may close without an answer where the table has an error.
        said: for a person.
    """

    exact: bool
    safe: bool
    said: str


def judge(case: Case, port: int, *, patience: float) -> Verdict:
    """Run a case against a server."""
    token = secrets.token_hex(8)
    sent = case.sends.replace(TOKEN, token.encode())
    wanted = len(case.answers)
    if case.goes_on:
        seen = exchange(
            port, [sent + _PROBE], answers=wanted + 1, patience=patience, head=case.head
        )
        went_on = len(seen.answers) == wanted + 1 and seen.statuses[-1] == 200
        statuses = seen.statuses[:wanted]
        injected = False
    else:
        seen = exchange(port, [sent], patience=patience, head=case.head)
        went_on, statuses = False, seen.statuses
        injected = any("x-injected" in answer.headers for answer in seen.answers)
    served = _second_was_served(port, token)
    matches = len(statuses) == wanted and all(
        status in ({expected} if isinstance(expected, int) else set(expected))
        for status, expected in zip(statuses, case.answers, strict=True)
    )
    ended = went_on if case.goes_on else seen.closed
    exact = matches and ended and not served and not injected
    if case.goes_on:
        safe = matches and went_on
    elif case.refused:
        first_refused = seen.closed if not statuses else statuses[0] >= 400
        safe = first_refused and not injected
        if case.threat in _FRAMING:
            safe = safe and not served and seen.closed
    else:
        safe = not served and seen.closed
    said = ", ".join(map(str, statuses)) or "no answer"
    said += " and the next request" if served else ""
    said += " + an injected header" if injected else ""
    if not ended:
        said += ", connection lost" if case.goes_on else ", left open"
    return Verdict(exact, safe, said)


def _second_was_served(port: int, token: str) -> bool:
    request = b"GET /seen/%b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    found = exchange(port, [request % token.encode()], answers=1)
    return bool(json.loads(found.answers[0].body)["seen"])
