"""What goes over the wire and what must come back: one table for every server.

Numbers T1 to T14 are those of the threat list in `docs/why/server.md`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN: Final = b"TOKEN"
"""Stands for a word that is new in each run, in the path of a request that must not be served."""
SECOND: Final = b"GET /second/TOKEN HTTP/1.1\r\nHost: localhost\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Case:
    """Bytes in, and the answers that a strict server gives.

    Attributes:
        threat: number in the list.
        title: what is special about the bytes.
        sends: written in one piece.
        answers: statuses, in order. Several in a tuple are all right.
        goes_on: the connection must still work afterwards; otherwise it must be closed.
        head: the answers are to HEAD.
    """

    threat: str
    title: str
    sends: bytes
    answers: tuple[int | tuple[int, ...], ...]
    goes_on: bool = False
    head: bool = False

    @property
    def name(self) -> str:
        return f"{self.threat}: {self.title}"

    @property
    def refused(self) -> bool:
        """All that counts is that it is not served."""
        first = self.answers[0]
        return not self.goes_on and (first if isinstance(first, int) else first[0]) >= 400


def _request(
    line: bytes = b"GET /echo HTTP/1.1", *headers: bytes, host: bytes = b"Host: localhost"
) -> bytes:
    lines = [line, *([host] if host else []), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _post(*headers: bytes, body: bytes = b"", line: bytes = b"POST /echo HTTP/1.1") -> bytes:
    return _request(line, *headers) + body


_CHUNKED = b"Transfer-Encoding: chunked"
_LAST = b"0\r\n\r\n"


def _t1() -> Iterator[Case]:
    both = {
        "length, then chunked": (b"Content-Length: 5", _CHUNKED),
        "chunked, then length": (_CHUNKED, b"Content-Length: 5"),
        "chunked and length 0": (_CHUNKED, b"Content-Length: 0"),
        "chunked in capitals and length": (b"TRANSFER-ENCODING: CHUNKED", b"content-length: 5"),
        "an unknown coding and length": (b"Transfer-Encoding: x", b"Content-Length: 5"),
        "an empty coding and length": (b"Transfer-Encoding:", b"Content-Length: 5"),
    }
    for title, headers in both.items():
        yield Case("T1", title, _post(*headers, body=_LAST + SECOND), (400,))
    yield Case("T1", "length smuggles", _post(
        _CHUNKED, b"Content-Length: 60", body=_LAST + SECOND), (400,))  # fmt: skip


def _t2() -> Iterator[Case]:
    for value in (
        b"xchunked", b"chunked, identity", b"identity", b"identity, chunked", b"chunked, chunked",
        b"chunke", b"chunked;q=1", b"\x0bchunked", b"chunked\x0b", b"'chunked'", b"chunked,",
        b",chunked", b"chunked gzip", b"",
    ):  # fmt: skip
        sent = _post(b"Transfer-Encoding: " + value, body=_LAST + SECOND)
        yield Case("T2", f"coding {value.decode('latin-1')!r}", sent, (400,))
    twice = _post(_CHUNKED, _CHUNKED, body=_LAST + SECOND)
    yield Case("T2", "chunked said twice", twice, (400,))
    twice = _post(_CHUNKED, b"Transfer-Encoding: identity", body=_LAST + SECOND)
    yield Case("T2", "chunked, and identity in a second header", twice, (400,))
    spaced = _post(b"Transfer-Encoding : chunked", body=_LAST + SECOND)
    yield Case("T2", "a space before the colon", spaced, (400,))
    folded = _post(b"Transfer-Encoding:\r\n chunked", body=_LAST + SECOND)
    yield Case("T2", "chunked on a folded line", folded, (400,))
    old = _post(_CHUNKED, line=b"POST /echo HTTP/1.0", body=_LAST + SECOND)
    yield Case("T2", "chunked in HTTP/1.0", old, (400,))
    unknown = _post(b"Transfer-Encoding: gzip, chunked", body=_LAST + SECOND)
    yield Case("T2", "a coding that is not understood", unknown, ((501, 400),))
    capitals = _post(b"Transfer-Encoding: ChUnKeD", body=b"3\r\nabc\r\n" + _LAST)
    yield Case("T2", "any case of chunked is chunked", capitals, (200,), goes_on=True)


def _t3() -> Iterator[Case]:
    bad = {
        "a chunk longer than its size": b"3\r\nabcXX\r\n",
        "LF after the size": b"3\nabc\r\n",
        "LF after the data": b"3\r\nabc\n",
        "CR alone after the size": b"3\rabc\r\n",
        "CR alone in an extension": b"3;a\rb\r\nabc\r\n",
        "LF alone in an extension": b"3;a\nb\r\nabc\r\n",
        "NUL in an extension": b"3;a\x00b\r\nabc\r\n",
        "size 0x3": b"0x3\r\nabc\r\n",
        "size +3": b"+3\r\nabc\r\n",
        "size -1": b"-1\r\nabc\r\n",
        "size 1_0": b"1_0\r\nabcdefghijklmnop\r\n",
        "a space before the size": b" 3\r\nabc\r\n",
        "a space after the size": b"3 \r\nabc\r\n",
        "a tab after the size": b"3\t\r\nabc\r\n",
        "no size": b"\r\nabc\r\n",
        "an extension and no size": b";a=b\r\nabc\r\n",
        "size of 17 digits": b"00000000000000003\r\nabc\r\n",
        "a size that overflows": b"10000000000000003\r\nabc\r\n",
        "size in full-width digits": "３\r\nabc\r\n".encode(),
        "a comma after the size": b"3,\r\nabc\r\n",
    }
    for title, body in bad.items():
        sent = _post(_CHUNKED, body=body + _LAST + SECOND)
        yield Case("T3", title, sent, (400,))
    yield Case("T3", "LF after the last chunk", _post(_CHUNKED, body=b"0\n\r\n" + SECOND), (400,))
    yield Case("T3", "LF as the end of the trailers", _post(_CHUNKED, body=b"0\r\n\n" + SECOND), (400,))  # fmt: skip  # noqa: E501  # a table
    no_end = _post(_CHUNKED, body=b"3\r\nabc\r\n0\r\n" + SECOND)
    yield Case("T3", "no end of the trailers", no_end, (400,))
    lines = {
        "LF ends the request line": b"GET /echo HTTP/1.1\nHost: localhost\r\n\r\n",
        "LF ends a header": b"GET /echo HTTP/1.1\r\nHost: localhost\nA: b\r\n\r\n",
        "LF ends every line": b"GET /echo HTTP/1.1\nHost: localhost\n\n",
        "LF ends the head": b"GET /echo HTTP/1.1\r\nHost: localhost\r\n\n",
        "CR alone ends a header": b"GET /echo HTTP/1.1\r\nHost: localhost\rA: b\r\n\r\n",
        "CR CR LF ends a header": b"GET /echo HTTP/1.1\r\nHost: localhost\r\r\n\r\n",
    }
    for title, sent in lines.items():
        yield Case("T3", title, sent + SECOND, (400,))
    for title, size in {
        "an extension is skipped": b"3;a=b",
        "a quoted extension is skipped": b'3;a="b;c"',
        "a size with leading zeros": b"003",
    }.items():
        sent = _post(_CHUNKED, body=size + b"\r\nabc\r\n" + _LAST)
        yield Case("T3", title, sent, (200,), goes_on=True)
    trailers = _post(_CHUNKED, body=b"3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n")
    yield Case("T3", "trailers are skipped", trailers, (200,), goes_on=True)
    for trailer in (b"bad trailer\r\n", b" x: y\r\n", b"a: b\nc: d\r\n", b"a\x00: b\r\n"):
        sent = _post(_CHUNKED, body=b"3\r\nabc\r\n0\r\n" + trailer + b"\r\n" + SECOND)
        yield Case("T3", f"trailer {trailer!r}", sent, (400,))


def _t4() -> Iterator[Case]:
    for value in (
        b"+5", b"-1", b"1_0", b"0x10", b"5, 5", b"5,6", b"5 5", b"", b"5.0", b"1e1", b"abc",
        "５".encode(), b"5;", b'"5"', b"99999999999999999999", b"5\x0b",
    ):  # fmt: skip
        sent = _post(b"Content-Length: " + value, body=b"hello" + SECOND)
        yield Case("T4", f"length {value.decode('latin-1')!r}", sent, (400,))
    for first, other in ((b"5", b"6"), (b"5", b"5"), (b"0", b"5")):
        sent = _post(b"Content-Length: " + first, b"Content-Length: " + other,
                     body=b"hello" + SECOND)  # fmt: skip
        yield Case("T4", f"two lengths, {first.decode()} and {other.decode()}", sent, (400,))
    sent = _post(b"Content-Length: 5", body=b"hello")
    yield Case("T4", "a right length", sent, (200,), goes_on=True)
    sent = _request(b"GET /echo HTTP/1.1", b"Content-Length: 5") + b"hello"
    yield Case("T4", "a GET may have a body", sent, (200,), goes_on=True)


def _t5() -> Iterator[Case]:
    other = b"Host: example.com"
    yield Case("T5", "two Hosts", _request(b"GET /echo HTTP/1.1", other) + SECOND, (400,))
    same = _request(b"GET /echo HTTP/1.1", b"Host: localhost")
    yield Case("T5", "the same Host twice", same + SECOND, (400,))
    yield Case("T5", "no Host", _request(host=b"") + SECOND, (400,))
    yield Case("T5", "two Content-Types", _post(
        b"Content-Type: text/plain", b"Content-Type: application/json", b"Content-Length: 2",
        body=b"{}" + SECOND), (400,))  # fmt: skip
    for value in (
        b"local host", b"localhost/", b"localhost/echo?", b"a@localhost", b"localhost#", b"a\\b",
        b"localhost:80:80", b"localhost:x", b"[::1", b"<script>", b"localhost, other", b'"a"',
        b"a\x00b", b"\xc3\xa9",
    ):  # fmt: skip
        sent = _request(b"GET /echo HTTP/1.1", host=b"Host: " + value)
        yield Case("T5", f"Host {value.decode('latin-1')!r}", sent + SECOND, (400,))
    old = _request(b"GET /echo HTTP/1.0", host=b"")
    yield Case("T5", "HTTP/1.0 needs no Host", old, (200,))
    for value in (b"localhost:8000", b"[::1]:80", b"127.0.0.1"):
        sent = _request(host=b"Host: " + value)
        yield Case("T5", f"Host {value.decode()}", sent, (200,), goes_on=True)


def _t6() -> Iterator[Case]:
    for target in (
        b"@evil.com", b"http://evil.com/echo", b"HTTP://localhost.evil.com/echo", b"*",
        b"localhost:80", b"localhost", b"echo", b"?a=b", b"http:///echo", b"http://a@localhost/echo",
        b"ftp://localhost/echo", b"http:/echo", b"http://", b"\\echo", b"/echo#x", b"/\xc3\xa9",
        b"/a\x00b", b"/a\x7fb", b"/%", b"/%zz", b"/%ff", b"/%c0%af", b"/%00", b"/%ed%a0%80",
    ):  # fmt: skip
        sent = _request(b"GET " + target + b" HTTP/1.1")
        yield Case("T6", f"target {target.decode('latin-1')!r}", sent + SECOND, (400,))
    tunnel = _request(b"CONNECT localhost:80 HTTP/1.1") + SECOND
    yield Case("T6", "a tunnel", tunnel, ((400, 405, 501),))
    for target in (b"http://localhost/echo", b"HTTP://LOCALHOST/echo?a=b", b"/echo?a=%zz&b=?"):
        sent = _request(b"GET " + target + b" HTTP/1.1")
        yield Case("T6", f"target {target.decode()}", sent, (200,), goes_on=True)
    star = _request(b"OPTIONS * HTTP/1.1")
    yield Case("T6", "OPTIONS *", star, ((204, 200),), goes_on=True)
    lines = {
        "two spaces": b"GET  /echo HTTP/1.1",
        "a tab for a space": b"GET\t/echo HTTP/1.1",
        "a space at the end": b"GET /echo HTTP/1.1 ",
        "a space at the beginning": b" GET /echo HTTP/1.1",
        "a space in the target": b"GET /echo x HTTP/1.1",
        "no version": b"GET /echo",
        "lower case of the version": b"GET /echo http/1.1",
        "version 1.10": b"GET /echo HTTP/1.10",
        "lower case of the method": b"get /echo HTTP/1.1",
        "no method": b"/echo HTTP/1.1",
        "control byte in the method": b"G\x01ET /echo HTTP/1.1",
    }
    for title, line in lines.items():
        yield Case("T6", title, _request(line) + SECOND, (400,))
    for version in (b"1.2", b"2.0", b"3.0", b"0.9"):
        sent = _request(b"GET /echo HTTP/" + version)
        yield Case("T6", f"version {version.decode()}", sent + SECOND, ((505, 400),))
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    yield Case("T6", "the preface of HTTP/2", preface, ((505, 400),))
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 200
    yield Case("T6", "a TLS hello", hello, (400,))
    yield Case("T6", "an empty line before", b"\r\n" + _request(), (200,), goes_on=True)
    unknown = _request(b"BREW /echo HTTP/1.1")
    yield Case("T6", "an unknown method", unknown, ((405, 501),), goes_on=True)


def _t7() -> Iterator[Case]:
    for header in (
        b"Na me: x", b"Name : x", b"Name\t: x", b": x", b"no colon", b"Accept", b"N\x00ame: x", b"N\x01: x",  # noqa: E501  # a table
        b"N\x7f: x", b"N\xc3\xa9: x", b"(n): x", b'a"b: x', b"A: x\x00y", b"A: \x01", b"A: x\x0by",
        b"A: x\x7fy", b"A: b\r\n c", b"A: b\r\n\tc", b"A: b\r\n ", b"@a: x", b"[a]: x", b"a/b: x",
    ):  # fmt: skip
        sent = _request(b"GET /echo HTTP/1.1", header)
        yield Case("T7", f"header {header!r}"[:60], sent + SECOND, (400,))
    first = b"GET /echo HTTP/1.1\r\n Host: localhost\r\n\r\n"
    yield Case("T7", "the first header is folded", first + SECOND, (400,))
    sent = _post(b"Content_Length: 5", body=b"")
    yield Case("T7", "an underscore does not make a hyphen", sent, (200,), goes_on=True)
    for header in (b"X: caf\xc3\xa9", b"X:", b"X:a:b", b"X:\t a \t", b"x-!#$%&'*+.^`|~: 1"):
        sent = _request(b"GET /echo HTTP/1.1", header)
        yield Case("T7", f"header {header!r} is fine", sent, (200,), goes_on=True)
    odd = _request(b"GET /echo HTTP/1.1", b"Expect: a-miracle")
    yield Case("T7", "an unknown expectation", odd, (417,))
    h2c = _request(b"GET /echo HTTP/1.1", b"Connection: upgrade, http2-settings",
                   b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__")  # fmt: skip
    yield Case("T7", "an upgrade that nobody offers is ignored", h2c, (200,), goes_on=True)


def _t8() -> Iterator[Case]:
    long = b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"
    yield Case("T8", "a request line of 70 KB", long + SECOND, (414,))
    wide = _request(b"GET /echo HTTP/1.1", b"A: " + b"a" * 200_000)
    yield Case("T8", "a header of 200 KB", wide + SECOND, (431,))
    endless = b"GET /echo HTTP/1.1\r\nHost: localhost\r\nA: " + b"a" * 1_000_000
    yield Case("T8", "a header that does not end", endless, (431,))
    many = _request(b"GET /echo HTTP/1.1", *[b"A%d: x" % n for n in range(2000)])
    yield Case("T8", "2,000 headers", many + SECOND, (431,))
    trailers = b"".join(b"A%d: x\r\n" % n for n in range(20_000))
    sent = _post(_CHUNKED, body=b"0\r\n" + trailers + b"\r\n" + SECOND)
    yield Case("T8", "20,000 trailers", sent, (431,))
    sent = _post(_CHUNKED, body=b"0\r\nA: " + b"a" * 1_000_000)
    yield Case("T8", "a trailer that does not end", sent, (431,))
    extensions = b"".join(b"1;" + b"a" * 500 + b"\r\nx\r\n" for _ in range(200))
    sent = _post(_CHUNKED, body=extensions + _LAST + SECOND)
    yield Case("T8", "100 KB of chunk extensions", sent, ((400, 431),))
    sent = _post(_CHUNKED, body=b"1;" + b"a" * 1_000_000)
    yield Case("T8", "a chunk extension that does not end", sent, ((400, 431),))
    repeated = _request(b"GET /echo HTTP/1.1", *[b"A: x"] * 5000)
    yield Case("T10", "5,000 times one header", repeated + SECOND, (431,))


def _t9() -> Iterator[Case]:
    four = b"".join(_request(b"GET /number/%d HTTP/1.1" % n) for n in range(4))
    yield Case("T9", "four at once are answered in order", four, (200,) * 4, goes_on=True)
    mixed = _post(b"Content-Length: 3", body=b"abc") + _post(
        _CHUNKED, body=b"3\r\nabc\r\n" + _LAST) + _request()  # fmt: skip
    yield Case("T9", "bodies of both kinds in a row", mixed, (200,) * 3, goes_on=True)
    close = _request(b"GET / HTTP/1.1", b"Connection: close") + SECOND
    yield Case("T9", "nothing follows a close", close, (200,))
    broken = _request() + b"nonsense\r\n\r\n" + SECOND
    yield Case("T9", "a good one, then nonsense", broken, (200, 400))
    old = _request(b"GET / HTTP/1.0") + SECOND
    yield Case("T9", "nothing follows HTTP/1.0", old, (200,))
    kept = _request(b"GET / HTTP/1.0", b"Connection: keep-alive")
    yield Case("T9", "HTTP/1.0 may ask to go on", kept, (200,), goes_on=True)


def _t12() -> Iterator[Case]:
    for kind in ("crlf", "lf", "cr", "nul", "control", "name", "name-crlf"):
        sent = _request(b"GET /unsafe/%b HTTP/1.1" % kind.encode())
        yield Case("T12", f"the application sets a header with {kind}", sent, (500,))


def _t13() -> Iterator[Case]:
    for kind in ("longer", "shorter", "two-lengths"):
        sent = _request(b"GET /lies/%b HTTP/1.1" % kind.encode())
        yield Case("T13", f"a body and its length: {kind}", sent + SECOND, (500,))
    for kind in ("stream-longer", "stream-shorter"):
        sent = _request(b"GET /lies/%b HTTP/1.1" % kind.encode())
        yield Case("T13", f"a body and its length: {kind}", sent + SECOND, (200,))
    for kind, status in (("body-204", 204), ("body-304", 304), ("chunked-too", 200)):
        sent = _request(b"GET /lies/%b HTTP/1.1" % kind.encode())
        yield Case("T13", kind, sent, (status,), goes_on=True)
    sent = _request(b"GET /lies/status-102 HTTP/1.1")
    yield Case("T13", "a status that is not final", sent + SECOND, (500,))
    head = _request(b"HEAD /echo HTTP/1.1")
    yield Case("T13", "HEAD has no body", head, (200,), goes_on=True, head=True)
    head = _request(b"HEAD /stream HTTP/1.1")
    yield Case("T13", "HEAD of a stream has none", head, (200,), goes_on=True, head=True)


def _t14() -> Iterator[Case]:
    over = 2 * 1024 * 1024
    sent = _post(b"Content-Length: %d" % over, body=b"x" * 1000)
    yield Case("T14", "a length past the limit", sent, (413,))
    waits = _post(b"Content-Length: %d" % over, b"Expect: 100-continue")
    yield Case("T14", "a length past the limit is not asked for", waits, (413,))
    chunk = b"%x\r\n%b\r\n" % (65536, b"x" * 65536)
    sent = _post(_CHUNKED, body=chunk * 32)
    yield Case("T14", "chunks past the limit", sent, (413,))
    tiny = b"".join([b"1\r\nx\r\n"] * 1_200_000)
    yield Case("T14", "a million tiny chunks past the limit", _post(_CHUNKED, body=tiny), (413,))


CASES: Final[tuple[Case, ...]] = tuple(
    case
    for group in (_t1, _t2, _t3, _t4, _t5, _t6, _t7, _t8, _t9, _t12, _t13, _t14)
    for case in group()
)
