"""The same application under every server answers the same."""

from __future__ import annotations

import json

import pytest

from tests.serve.processes import COMMANDS, serving
from tests.serve.wire import exchange

_HOST = b"Host: localhost\r\nConnection: close\r\n"
_REQUESTS = {
    "json": b"GET /echo?a=1 HTTP/1.1\r\n" + _HOST + b"X-A: b\r\n\r\n",
    "a path": b"GET /path/caf%C3%A9/%2Fx?y=%20z HTTP/1.1\r\n" + _HOST + b"\r\n",
    "a body": b"POST /echo HTTP/1.1\r\n" + _HOST + b"Content-Length: 5\r\n\r\nhello",
    "chunks": b"POST /echo HTTP/1.1\r\n"
    + _HOST
    + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "a stream": b"GET /stream?count=50 HTTP/1.1\r\n" + _HOST + b"\r\n",
    "nothing there": b"GET /nothing HTTP/1.1\r\n" + _HOST + b"\r\n",
    "a wrong method": b"DELETE /echo HTTP/1.1\r\n" + _HOST + b"\r\n",
    "too large": b"POST /echo HTTP/1.1\r\n"
    + _HOST
    + b"Content-Length: 2000000\r\n\r\n"
    + b"x" * 99,
    "too late": b"GET /short HTTP/1.1\r\n" + _HOST + b"\r\n",
    "a wrong number": b"GET /number/x HTTP/1.1\r\n" + _HOST + b"\r\n",
    "head": b"HEAD /echo HTTP/1.1\r\n" + _HOST + b"\r\n",
}
# What a server adds, or what differs from one request to the next.
_OWN = {"date", "server", "connection", "transfer-encoding", "content-length"}


def _answers(name: str) -> dict[str, object]:
    found: dict[str, object] = {}
    with serving(name) as running:
        for title, request in _REQUESTS.items():
            seen = exchange(running.port, [request], answers=1, head=title == "head")
            [answer] = seen.answers
            headers = {key: text for key, text in answer.headers.items() if key not in _OWN}
            body = answer.body.decode()
            if "json" in headers.get("content-type", "") and body:
                body = json.loads(body)
                body.pop("request_id", None)
                body.pop("url", None)
            found[title] = answer.status, headers, body
    return found


@pytest.fixture(scope="module")
def ours() -> dict[str, object]:
    return _answers("mainspring")


def test_our_own_server_answers_what_was_asked(ours):
    statuses = [answer[0] for answer in ours.values()]
    assert statuses == [200, 200, 200, 200, 200, 404, 405, 413, 504, 404, 200]


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "mainspring"])
def test_other_servers_answer_the_same(name, ours):
    theirs = _answers(name)
    assert theirs == ours
