"""Status line and headers of a response as bytes, rendered once for those that repeat.

Source: RFC 9112, sections 4 to 6; RFC 9110, sections 6.6.1 (Date) and 8.6 (Content-Length).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mainspring.errors import MainspringError
from mainspring.http._response import check_header
from mainspring.serve._refusal import title_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainspring.http._response import Header


class BadResponse(MainspringError):
    """The application made a response that cannot be sent the way it says."""

    code = "serve.bad-response"


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """Status line and headers, without Date, framing and the empty line.

    Attributes:
        status: as in the status line.
        data: the lines.
        length: the Content-Length that the application set; None if it left that to us.
        close: the application asked for the connection to be closed.
        dated: there is a Date in it.
        bodiless: such a response has no body, whatever the application says.
        endless: an event stream, which a stop may end at any time.
        plain: none of the above.
    """

    status: int
    data: bytes
    length: int | None
    close: bool
    dated: bool
    bodiless: bool
    endless: bool
    plain: bool


# These say how the message travels, which is the server's business (RFC 9112, sections 6.1, 9).
_TRAVEL: Final = frozenset({b"transfer-encoding", b"keep-alive", b"upgrade", b"trailer"})
_STATUSES: Final = range(200, 600)
_LENGTH_DIGITS: Final = 15


def render_head(status: int, headers: Sequence[Header]) -> ResponseHead:
    """The head of a response.

    Raises:
        BadResponse: no such status, or a Content-Length that is not one number.
        UnsafeHeader: a header would break out of its line.
    """
    if status not in _STATUSES:
        raise BadResponse(f"{status} is not the status of a final response")
    lines = [b"HTTP/1.1 %d %b\r\n" % (status, title_of(status).encode("ascii"))]
    length, close, dated = None, False, False
    for name, value in headers:
        check_header(name, value)
        match name.lower():
            case b"content-length":
                length = _length(value, length)
                continue
            case b"connection":
                close = close or b"close" in value.lower()
                continue
            case b"date":
                dated = True
            case key if key in _TRAVEL:
                continue
            case _:
                pass
        lines.append(b"%b: %b\r\n" % (name, value))
    bodiless = status in {204, 304}
    return ResponseHead(
        status,
        b"".join(lines),
        length,
        close,
        dated,
        bodiless,
        endless=(b"content-type", b"text/event-stream") in {(n, v[:17]) for n, v in headers},
        plain=length is None and not (close or dated or bodiless),
    )


def _length(value: bytes, before: int | None) -> int:
    if not (value.isdigit() and len(value) <= _LENGTH_DIGITS):
        raise BadResponse(f"the response's Content-Length is {value!r}", fix="leave it out")
    length = int(value)
    if before not in {None, length}:
        raise BadResponse("the response has two Content-Length headers", fix="leave them out")
    return length


_HEADS_LIMIT: Final = 1024


class Heads:
    """Rendered heads of constant headers.

    Headers in a tuple are constant and the same object for every answer of a route, so that
    identity finds them without hashing. The entry keeps the tuple alive, and thereby its identity.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], tuple[object, ResponseHead]] = {}

    def of(self, status: int, headers: Sequence[Header]) -> ResponseHead:
        """The head; raises as `render_head` does."""
        key = (id(headers), status)
        found = self._known.get(key)
        if found is not None and found[0] is headers:
            return found[1]
        head = render_head(status, headers)
        if type(headers) is tuple:
            if len(self._known) >= _HEADS_LIMIT:
                self._known.clear()
            self._known[key] = (headers, head)
        return head
