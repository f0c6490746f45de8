"""What a handler answers with.

A handler mostly returns values, and the binding makes the response. These classes are for
the rest: another status, a header, a cookie, a stream.
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING, ClassVar, Generic, Literal, TypeVar

from mainspring.errors import MainspringError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping
    from datetime import timedelta

Header = tuple[bytes, bytes]
T = TypeVar("T")


class UnsafeHeader(MainspringError):
    """The application set a header that would break out of its line."""

    code = "http.unsafe-header"


# RFC 9110, section 5.6.2: what a field name is made of.
_TOKEN = frozenset(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")
_CONTROLS = frozenset({*range(0x20), 0x7F}) - {0x09}


def header(name: str, value: str) -> Header:
    """A header as it goes on the wire: lower-case name, value in Latin-1.

    Raises:
        UnsafeHeader: the name is not a token, or the value has a control character
            (RFC 9110, section 5.5).
    """
    try:
        raw = name.lower().encode("ascii"), value.encode("latin-1")
    except UnicodeEncodeError:
        raise UnsafeHeader(f"header {name!r} has characters outside Latin-1: {value!r}") from None
    check_header(*raw)
    return raw


def check_header(name: bytes, value: bytes) -> None:
    """Raise `UnsafeHeader` unless name and value may go on the wire as they are."""
    if not name or not _TOKEN.issuperset(name):
        raise UnsafeHeader(f"{name!r} is not a header name")
    if not _CONTROLS.isdisjoint(value) or value.strip(b" \t") != value:
        raise UnsafeHeader(
            f"header {name.decode()!r} has a control character or outer space: {value!r}",
            fix="encode the value, for example with urllib.parse.quote",
        )


class Response:
    """A status, headers and a body.

    Args:
        body: the bytes, text (sent as UTF-8), or an asynchronous iterator of bytes that is
            sent piece by piece and starts after the unit of work has been committed.
        status: the HTTP status.
        headers: names and values; checked.
        media_type: value of `Content-Type`.
        frozen_headers: a constant tuple made at start, taken as it is. Servers keep the
            rendered form of such tuples.
    """

    __slots__ = ("body", "headers", "status")

    body: bytes | AsyncIterator[bytes]
    headers: tuple[Header, ...] | list[Header]

    def __init__(
        self,
        body: bytes | str | AsyncIterator[bytes] = b"",
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
        frozen_headers: tuple[Header, ...] = (),
    ) -> None:
        self.status = status
        self.body = body.encode() if isinstance(body, str) else body
        self.headers = frozen_headers
        if media_type is not None:
            self.set_header("content-type", media_type)
        if headers:
            for name, value in headers.items():
                self.set_header(name, value)

    def set_header(self, name: str, value: str) -> None:
        """Set a header, in place of any of the same name."""
        raw = header(name, value)
        self.headers = [pair for pair in self.headers if pair[0] != raw[0]]
        self.headers.append(raw)

    def add_header(self, name: str, value: str) -> None:
        """Add a header beside those of the same name."""
        self.headers = [*self.headers, header(name, value)]

    def get_header(self, name: str) -> str | None:
        """The first value of a header."""
        key = name.lower().encode()
        return next((value.decode("latin-1") for n, value in self.headers if n == key), None)

    def vary_on(self, name: str) -> None:
        """Say that the answer depends on a request header (RFC 9110, section 12.5.5)."""
        present = self.get_header("vary")
        names = [part.strip().lower() for part in present.split(",")] if present else []
        if name.lower() not in names:
            self.set_header("vary", f"{present}, {name}" if present else name)

    def set_cookie(  # noqa: PLR0913  # the attributes of RFC 6265, each an option
        self,
        name: str,
        value: str,
        *,
        max_age: timedelta | None = None,
        expires: datetime | None = None,
        path: str = "/",
        domain: str | None = None,
        secure: bool = True,
        http_only: bool = True,
        same_site: Literal["strict", "lax", "none"] = "lax",
    ) -> None:
        """Set a cookie, closed by default: Secure, HttpOnly, SameSite=Lax.

        Raises:
            UnsafeHeader: a part has characters that would end it, or browsers would drop the
                cookie because of its prefix or because `same_site="none"` is not secure.

        Source: RFC 6265, section 4.1; `__Host-` and `__Secure-` prefixes of RFC 6265bis.
        """
        _check_prefix(name, secure=secure, whole_host=path == "/" and not domain)
        if same_site == "none" and not secure:
            raise UnsafeHeader(f"cookie {name!r} is sent to other sites, so it must be secure")
        parts = [f"{_cookie_name(name)}={_cookie_value(value)}", f"Path={path}"]
        if max_age is not None:
            parts.append(f"Max-Age={int(max_age.total_seconds())}")
        if expires is not None:
            parts.append(f"Expires={format_datetime(expires, usegmt=True)}")
        if domain:
            parts.append(f"Domain={domain}")
        if secure:
            parts.append("Secure")
        if http_only:
            parts.append("HttpOnly")
        parts.append(f"SameSite={same_site.capitalize()}")
        if any(";" in part for part in parts):
            raise UnsafeHeader(f"cookie {name!r} has a ';' inside one of its parts")
        self.add_header("set-cookie", "; ".join(parts))

    def delete_cookie(self, name: str, *, path: str = "/", domain: str | None = None) -> None:
        """Tell the browser to forget a cookie."""
        self.set_cookie(name, "", expires=datetime.fromtimestamp(0, UTC), path=path, domain=domain)


def _cookie_name(name: str) -> str:
    if not name or not _TOKEN.issuperset(name.lower().encode("ascii", "replace")):
        raise UnsafeHeader(f"{name!r} is not a cookie name", fix="use letters, digits, '-' and '_'")
    return name


def _check_prefix(name: str, *, secure: bool, whole_host: bool) -> None:
    prefix = name.lower()
    if prefix.startswith(("__host-", "__secure-")) and not secure:
        raise UnsafeHeader(f"cookie {name!r} has a prefix that only a secure one may have")
    if prefix.startswith("__host-") and not whole_host:
        raise UnsafeHeader(
            f"cookie {name!r} has a prefix that goes with path '/' and no domain",
            fix="leave path and domain out, or take another name",
        )


# RFC 6265, section 4.1.1: cookie-octet.
_COOKIE_OCTETS = frozenset(map(chr, range(0x21, 0x7F))) - set('",;\\')


def _cookie_value(value: str) -> str:
    if not _COOKIE_OCTETS.issuperset(value):
        raise UnsafeHeader(
            f"cookie value {value!r} has characters that a cookie cannot hold",
            fix="encode it, for example with urllib.parse.quote",
        )
    return value


class Encoded(Response):
    """A response whose parts are final: what the encoder makes, at a third of the cost."""

    __slots__ = ()

    def __init__(self, body: bytes, status: int, headers: tuple[Header, ...]) -> None:
        self.body = body
        self.status = status
        self.headers = headers


class Answer(Generic[T]):
    """A value with a status of its own: the base of `Created` and `Accepted`."""

    __slots__ = ("headers", "value")
    status: ClassVar[int] = 200

    def __init__(self, value: T, *, location: str | None = None, **headers: str) -> None:
        self.value = value
        self.headers = {name.replace("_", "-"): text for name, text in headers.items()}
        if location is not None:
            self.headers["location"] = location


class Created(Answer[T]):
    """201 with the thing that was made, and optionally where it is."""

    __slots__ = ()
    status = 201


class Accepted(Answer[T]):
    """202: it will be done, and the value says how to follow it."""

    __slots__ = ()
    status = 202


class Html(str):
    """Text that is sent as `text/html`. The text must already be safe."""

    __slots__ = ()


class Redirect(Response):
    """See another place: 303 by default, so that a POST is followed by a GET.

    `location` is taken as it is; check one that came from a request before.
    """

    __slots__ = ()

    def __init__(self, location: str, *, status: Literal[301, 302, 303, 307, 308] = 303) -> None:
        super().__init__(status=status, headers={"location": location})


def header_pairs(pairs: Iterable[tuple[str, str]]) -> tuple[Header, ...]:
    """Checked headers as a constant, for `frozen_headers`."""
    return tuple(header(name, value) for name, value in pairs)
