"""The head of a request, read strictly: what a sender may not write is refused, never repaired.

Two servers that read the same bytes differently are how requests are smuggled, so that there
is one way to write each thing here and everything else is an error.

Source: RFC 9112, sections 2 to 6; RFC 3986 for the target.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

from mainspring.serve._refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

CHUNKED: Final = -1
"""The `length` of a body that says itself where it ends."""


@dataclass(frozen=True, slots=True)
class Target:
    """What the first line of a request says.

    Attributes:
        path: decoded, without the query; `*` for the server as a whole.
        query: as it was sent, without the question mark.
        authority: host and port of an absolute target, lower case; empty otherwise.
        old: the version is HTTP/1.0.
        plain: HTTP/1.1, a path and no HEAD, so that nothing about it is uncommon.
    """

    method: str
    path: str
    raw_path: bytes
    query: bytes
    authority: bytes
    old: bool
    plain: bool


@dataclass(frozen=True, slots=True)
class Head:
    """What the headers of a request say.

    Attributes:
        headers: lower-case name to value; repeated ones joined.
        length: bytes of the body; `CHUNKED` if chunks will tell.
        close: the client wants no further request here.
        keep_alive: a client of HTTP/1.0 wants to send more.
        expect: the client waits for `100 Continue` before it sends the body.
        upgrade: the client wants to speak a web socket from here on.
        plain: a host, and nothing uncommon.
    """

    headers: Mapping[bytes, bytes]
    length: int
    close: bool
    keep_alive: bool
    expect: bool
    upgrade: bool
    plain: bool


_REQUEST_LINE: Final = re.compile(rb"([A-Z][A-Z-]{0,23}) ([!-~]+) HTTP/1\.([01])")
_OTHER_VERSION: Final = re.compile(rb"[A-Z-]+ [!-~]+ HTTP/[0-9](\.[0-9])?")
_ABSOLUTE: Final = re.compile(rb"(?i:https?)://([^/?#@]*)([^#]*)")
_BROKEN_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})|%00")
# RFC 3986, section 3.2.2: a registered name or a bracketed address, and a port.
_HOST: Final = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+,;=%-]+|\[[0-9A-Fa-fvV:.]+\])(?::[0-9]{0,5})?")


def read_target(line: bytes) -> Target:
    """The request line, without its line end.

    Raises:
        Refusal: 400, or 505 for another version of HTTP.

    Source: RFC 9112, section 3.
    """
    found = _REQUEST_LINE.fullmatch(line)
    if found is None:
        if _OTHER_VERSION.fullmatch(line):
            raise Refusal(505, "this server speaks HTTP/1.1 and HTTP/1.0")
        raise Refusal(400, "the request line is malformed")
    method, target, minor = found.groups()
    authority = b""
    if not target.startswith(b"/"):
        target, authority = _from_other_form(method, target)
    raw_path, _, query = target.partition(b"?")
    if b"#" in target:
        raise Refusal(400, "a request target has no fragment")
    old = minor == b"0"
    return Target(
        method.decode("ascii"),
        _decoded(raw_path),
        raw_path,
        query,
        authority,
        old,
        plain=not (old or authority or method == b"HEAD"),
    )


def _from_other_form(method: bytes, target: bytes) -> tuple[bytes, bytes]:
    """Path with query, and authority, of a target that is not just a path."""
    if target == b"*" and method == b"OPTIONS":
        return target, b""
    found = _ABSOLUTE.fullmatch(target)
    if found is None:
        raise Refusal(400, "the request target is not a path")
    authority, rest = found.groups()
    if not _HOST.fullmatch(authority):
        raise Refusal(400, "the request target has no valid host")
    return (rest if rest.startswith(b"/") else b"/" + rest), authority.lower()


def _decoded(raw: bytes) -> str:
    if b"%" not in raw:
        return raw.decode("ascii")
    if _BROKEN_ESCAPE.search(raw):
        raise Refusal(400, "the path has an escape that stands for nothing")
    try:
        return unquote_to_bytes(raw).decode("utf-8")
    except UnicodeDecodeError:
        raise Refusal(400, "the path is not UTF-8") from None


_TOKEN: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
# All that may be inside a line: visible characters, space, tab and obs-text.
LINE_BYTES: Final = bytes({*range(0x20, 0x7F), *range(0x80, 0x100), 0x09})
# Two of these can only mean that two parties shall read different ones (T4, T5).
_ONCE: Final = frozenset(
    {
        b"host", b"content-length", b"content-type", b"transfer-encoding", b"authorization",
        b"expect", b"upgrade", b"origin", b"sec-websocket-key", b"sec-websocket-version",
    }
)  # fmt: skip
_DROPPED: Final = b""
_names: dict[bytes, bytes] = {}
_NAMES_LIMIT: Final = 1024


def read_head(block: bytes, *, count_limit: int) -> Head:
    """The header lines, each with its line end.

    Raises:
        Refusal: 400, 417, 431 or 501.

    Source: RFC 9112, sections 5 and 6; RFC 9110, section 5.
    """
    lines = block.split(b"\r\n")
    lines.pop()
    if len(lines) > count_limit:
        raise Refusal(431, f"more than {count_limit} headers")
    # One pass of C code finds control bytes, bare CR and bare LF alike.
    if block.translate(None, LINE_BYTES) != b"\r\n" * len(lines):
        raise Refusal(400, "a header has a control character or a broken line end")
    headers: dict[bytes, bytes] = {}
    for line in lines:
        raw, colon, value = line.partition(b":")
        if not colon:
            raise Refusal(400, "a header line has no colon")
        name = _names.get(raw)
        if name is None:
            name = _read_name(raw)
        value = value.strip(b" \t")
        if name in headers:
            value = _joined(name, headers[name], value)
        headers[name] = value
    headers.pop(_DROPPED, None)
    return _understood(headers)


def _read_name(raw: bytes) -> bytes:
    if not _TOKEN.fullmatch(raw):
        raise Refusal(400, "a header line is malformed")
    # `X_Real_Ip` becomes `HTTP_X_REAL_IP` in a CGI environment, just as `X-Real-Ip` does, so
    # that names with an underscore are dropped here, for every application that runs below.
    name = _DROPPED if b"_" in raw else raw.lower()
    if len(_names) < _NAMES_LIMIT:
        _names[raw] = name
    return name


def _joined(name: bytes, first: bytes, second: bytes) -> bytes:
    if name in _ONCE:
        raise Refusal(400, f"two {name.decode('ascii')} headers")
    return first + (b"; " if name == b"cookie" else b", ") + second


def _understood(headers: dict[bytes, bytes]) -> Head:
    host = headers.get(b"host")
    if host and not _HOST.fullmatch(host):
        raise Refusal(400, "the Host header is not a host")
    connection = _tokens(headers.get(b"connection", b""))
    expect = headers.get(b"expect")
    if expect is not None and expect.lower() != b"100-continue":
        raise Refusal(417, "this server knows no expectation but 100-continue")
    length = _length(headers)
    upgrade = b"upgrade" in connection and headers.get(b"upgrade", b"").lower() == b"websocket"
    close = b"close" in connection
    return Head(
        headers,
        length,
        close,
        b"keep-alive" in connection,
        expect is not None,
        upgrade,
        plain=not (length == CHUNKED or close or expect or upgrade or host is None),
    )


def _tokens(value: bytes) -> frozenset[bytes]:
    return frozenset(part.strip(b" \t").lower() for part in value.split(b","))


def check_partial(rest: bytes, fresh: bytes, *, line_bytes: int, head_bytes: int) -> None:
    """Refuse what can no longer become a head; it need not be complete for that.

    Args:
        rest: all that has arrived of it.
        fresh: the part that was not checked before.
        line_bytes: the longest request line.
        head_bytes: the longest head.

    Raises:
        Refusal: 400, 414 or 431.
    """
    if len(rest) > line_bytes and b"\r\n" not in rest:
        raise Refusal(414, "the request line is too long")
    if len(rest) > head_bytes:
        raise Refusal(431, f"headers of more than {head_bytes} bytes")
    if fresh.removesuffix(b"\r").replace(b"\r\n", b"").translate(None, LINE_BYTES):
        raise Refusal(400, "the request has a control character or a broken line end")


_LENGTH_DIGITS: Final = 15


def _length(headers: dict[bytes, bytes]) -> int:
    """How long the body is. RFC 9112, section 6.3, without its leniencies."""
    coding = headers.get(b"transfer-encoding")
    length = headers.get(b"content-length")
    if coding is None:
        if length is None:
            return 0
        if not (length.isdigit() and len(length) <= _LENGTH_DIGITS):
            raise Refusal(400, "Content-Length is not a number")
        return int(length)
    if length is not None:
        raise Refusal(400, "Content-Length and Transfer-Encoding contradict each other")
    codings = coding.lower().replace(b"\t", b" ").replace(b" ", b"").split(b",")
    if codings == [b"chunked"]:
        return CHUNKED
    if codings[-1] == b"chunked" and b"chunked" not in codings[:-1] and _KNOWN.issuperset(codings):
        raise Refusal(501, "no transfer coding is understood but chunked")
    raise Refusal(400, "Transfer-Encoding does not end in one chunked")


_KNOWN: Final = frozenset({b"gzip", b"x-gzip", b"deflate", b"compress", b"x-compress", b"chunked"})


def check_together(target: Target, head: Head) -> None:
    """What target and headers must agree on, unless both are plain.

    Raises:
        Refusal: 400.
    """
    host = head.headers.get(b"host")
    if host is None and not target.old:
        raise Refusal(400, "the request has no Host")
    if target.authority and host is not None and host.lower() != target.authority:
        raise Refusal(400, "the request target is for another host than the Host header")
    if target.old and head.length == CHUNKED:
        raise Refusal(400, "HTTP/1.0 has no chunks")
