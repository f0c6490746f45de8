"""What our grammar takes for a request, llhttp takes for the same request.

llhttp is what most servers on the other side of a proxy read with. It is more lenient, so
that the other direction does not hold; this one means that nothing can be smuggled past us to
somebody who reads as llhttp does.
"""

from __future__ import annotations

from dataclasses import dataclass

import httptools
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mainspring.serve import Limits
from mainspring.serve._body import chunks_of
from mainspring.serve._grammar import CHUNKED, check_together, read_head, read_target
from mainspring.serve._refusal import Refusal
from tests.serve.cases import CASES


@dataclass
class Message:
    method: str
    target: bytes
    headers: dict[bytes, bytes]
    body: bytes
    rest: bytes


def ours(data: bytes) -> Message | None:
    """The first request in the bytes as the server reads it; None if it is not whole."""
    line, found, _ = data.partition(b"\r\n")
    if not found:
        return None
    target = read_target(line)
    end = data.find(b"\r\n\r\n", len(line))
    if end < 0:
        return None
    head = read_head(data[len(line) + 2 : end + 2], count_limit=100)
    check_together(target, head)
    rest = data[end + 4 :]
    if head.length == CHUNKED:
        parts, after = chunks_of(Limits()).feed(rest)
        if after is None:
            return None
        body, rest = b"".join(parts), after
    elif len(rest) < head.length:
        return None
    else:
        body, rest = rest[: head.length], rest[head.length :]
    return Message(target.method, line.split(b" ")[1], dict(head.headers), body, rest)


class Theirs:
    """The first request in the bytes as llhttp reads it."""

    def __init__(self, data: bytes) -> None:
        self.url = self.body = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.complete = self.in_trailer = False
        self.parser = httptools.HttpRequestParser(self)
        self.parser.feed_data(data)
        self.method = self.parser.get_method().decode()

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.in_trailer:
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self.in_trailer = True

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete = True

    def joined(self) -> dict[bytes, bytes]:
        found: dict[bytes, bytes] = {}
        for name, value in self.headers:
            if b"_" in name:
                continue
            glue = b"; " if name == b"cookie" else b", "
            # Spaces at the end belong to the line, not to the value (RFC 9112, section 5.1).
            clean = value.strip(b" \t")
            found[name] = found[name] + glue + clean if name in found else clean
        return found


_WORDS = [
    b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b"\0", b"\x0b", b"0", b"5", b"chunked", b";", b",",
    b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Host: localhost\r\n", b"\xff",
    b"HTTP/1.1", b"HTTP/1.0", b"0\r\n\r\n", b"3\r\nabc\r\n", b"_", b"%", b"-", b"+", b"\x7f",
    b"Connection: close\r\n", b"Expect: 100-continue\r\n", b"gzip, ", b"X: a\r\n b\r\n", b"\r\n\r\n",  # noqa: E501  # a table
]  # fmt: skip
_SEEDS = [case.sends for case in CASES if len(case.sends) < 500]


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """A request of the table with a few things inserted, removed or repeated."""
    data = draw(st.sampled_from(_SEEDS))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        match draw(st.integers(0, 2)):
            case 0:
                data = data[:at] + draw(st.sampled_from(_WORDS)) + data[at:]
            case 1:
                data = data[:at] + data[at + draw(st.integers(1, 8)) :]
            case _:
                data = data[:at] + data[at - draw(st.integers(1, 20)) :]
    return data


# llhttp knows the methods of its list only.
_METHODS = {"GET", "POST", "PUT", "HEAD", "OPTIONS", "DELETE", "PATCH"}


@settings(max_examples=1000)
@example(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;a\r\nabc\r\n0\r\n\r\n")
@example(b"GET / HTTP/1.1\r\nHost: a\r\nHost\r\n\r\n")
@given(requests())
def test_what_we_accept_is_what_llhttp_reads(data):
    try:
        message = ours(data)
    except Refusal:
        return
    if message is None or message.method not in _METHODS:
        return
    whole = data[: len(data) - len(message.rest)]
    try:
        theirs = Theirs(whole)
    except httptools.HttpParserUpgrade:
        return
    assert theirs.complete
    assert theirs.method == message.method
    assert theirs.url == message.target
    assert theirs.joined() == message.headers
    assert theirs.body == message.body


def test_the_table_says_something_about_both():
    """The property above would hold too if we refused everything."""
    accepted = 0
    for seed in _SEEDS:
        try:
            accepted += ours(seed) is not None
        except Refusal:
            continue
    assert accepted > 20
