"""What a client asks for."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from mainspring import telemetry
from mainspring.http._body import TakenBody, WholeBody, read_all, read_parts
from mainspring.http._problem import BadRequest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from mainspring.http._body import Body
    from mainspring.http._routing import Route
    from mainspring.http._upload import Upload
    from mainspring.http._websocket import WebSocket

from collections.abc import Mapping

_EMPTY = WholeBody()


class Headers(Mapping[str, str]):
    """The headers of a request: names without case, values of a repeated one joined by commas.

    Source: RFC 9110, sections 5.1 to 5.3.
    """

    __slots__ = ("_raw",)

    def __init__(self, raw: Mapping[bytes, bytes]) -> None:
        self._raw = raw

    def __getitem__(self, name: str) -> str:
        return self._raw[name.lower().encode("latin-1", "replace")].decode("latin-1")

    def __iter__(self) -> Iterator[str]:
        return (name.decode("latin-1") for name in self._raw)

    def __len__(self) -> int:
        return len(self._raw)


class Request:
    """One request: made by a server, carried through the pipeline, given to who asks for it.

    Attributes:
        method: upper case.
        path: decoded, without the query; always begins with a slash.
        raw_path: as it was sent, without the query.
        query_string: as it was sent, without the question mark.
        raw_headers: lower-case name to value, in bytes; repeated values joined by a comma.
        body: the bytes that follow.
        client: address of who asks, behind trusted proxies the real one.
        scheme: `http` or `https`.
        http_version: `1.0`, `1.1` or `2`.
        route: what answers it; set by the router.
        socket: the web socket that it asks for; not set for other requests.
        path_params: what the route's pattern captured, converted.
        principal: who asks, once that is known.
        unit: the unit of work, once something asked for it.
        uploads: the files of a form, on routes that take one.
        asked: the statement that the handler has returned, if it could not be answered at once.
        started: `time.perf_counter` when the first byte was seen.
    """

    __slots__ = (
        "_id",
        "asked",
        "body",
        "client",
        "http_version",
        "method",
        "path",
        "path_params",
        "principal",
        "query_string",
        "raw_headers",
        "raw_path",
        "root_path",
        "route",
        "scheme",
        "socket",
        "started",
        "state",
        "status",
        "unit",
        "uploads",
    )

    route: Route
    path_params: dict[str, Any]
    uploads: list[Upload]
    socket: WebSocket
    asked: Any

    def __init__(  # noqa: PLR0913  # the parts of a request
        self,
        method: str,
        path: str,
        *,
        raw_path: bytes = b"",
        query_string: bytes = b"",
        headers: Mapping[bytes, bytes] | None = None,
        body: Body = _EMPTY,
        client: tuple[str, int] | None = None,
        scheme: str = "http",
        http_version: str = "1.1",
    ) -> None:
        self.started = perf_counter()
        self.method = method
        self.path = path
        self.raw_path = raw_path
        self.query_string = query_string
        self.raw_headers = {} if headers is None else headers
        self.body = body
        self.client = client
        self.scheme = scheme
        self.http_version = http_version
        self._id: str | None = None
        self.principal: Any = None
        self.unit: Any = None
        self.status = 0
        self.root_path = ""

    @property
    def id(self) -> str:
        """The request's own id, or the trace's if the client sent a `traceparent`."""
        found = self._id
        if found is None:
            sent = self.raw_headers.get(b"traceparent")
            trace = telemetry.read_traceparent(sent.decode("latin-1")) if sent else None
            found = self._id = trace or telemetry.new_id()
        return found

    @property
    def trace_id(self) -> str:
        """The same: a request is the root of its trace here."""
        return self.id

    @property
    def headers(self) -> Headers:
        """The headers as text."""
        return Headers(self.raw_headers)

    @property
    def host(self) -> str:
        """The host that was asked for, without the port; never taken from the path."""
        value = self.raw_headers.get(b"host", b"").decode("latin-1")
        name, colon, port = value.rpartition(":")
        return name if colon and port.isdigit() else value

    @property
    def url(self) -> str:
        """The whole URL as the client knows it."""
        host = self.raw_headers.get(b"host", b"").decode("latin-1")
        query = f"?{self.query_string.decode('latin-1')}" if self.query_string else ""
        return f"{self.scheme}://{host}{self.root_path}{self.raw_path.decode('latin-1')}{query}"

    @property
    def query(self) -> dict[str, list[str]]:
        """Every query parameter with all of its values."""
        return parse_query(self.query_string)

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies; of two with one name the first, which is the more specific one."""
        return parse_cookies(self.raw_headers.get(b"cookie", b""))

    async def read(self, *, limit_bytes: int | None = None) -> bytes:
        """The whole body, up to the route's limit or the one given; the same when read again."""
        limit = self.route.body_limit_bytes if limit_bytes is None else limit_bytes
        data = await read_all(self.body, limit_bytes=limit)
        if type(self.body) is not TakenBody:
            self.body = WholeBody(data)
        return data

    def stream(self, *, limit_bytes: int | None = None) -> AsyncIterator[bytes]:
        """The body piece by piece, up to the route's limit or the one given."""
        limit = self.route.body_limit_bytes if limit_bytes is None else limit_bytes
        if type(self.body) is not TakenBody:
            self.body = TakenBody(self.body)
        return read_parts(self.body, limit_bytes=limit)

    @property
    def repeatable(self) -> bool:
        """Whether the request can be answered from the beginning: nothing of it is used up."""
        return type(self.body) is not TakenBody


def arrived(  # noqa: PLR0913, PLR0917  # the parts of a request, in the order in which a server knows them
    method: str,
    path: str,
    raw_path: bytes,
    query_string: bytes,
    headers: Mapping[bytes, bytes],
    body: Body,
    client: tuple[str, int] | None,
    scheme: str,
    http_version: str,
) -> Request:
    """The same as `Request(…)`, for a server that makes a hundred thousand a second.

    Calling a class with keywords costs 0.7 us, most of it before its `__init__` begins; a
    plain function that fills the slots costs 0.3 us.
    """
    request = _bare(Request)
    request.started = perf_counter()
    request.method = method
    request.path = path
    request.raw_path = raw_path
    request.query_string = query_string
    request.raw_headers = headers
    request.body = body
    request.client = client
    request.scheme = scheme
    request.http_version = http_version
    request._id = None  # noqa: SLF001  # this function is the other constructor
    request.principal = None
    request.unit = None
    request.status = 0
    request.root_path = ""
    return request


_bare = object.__new__
QUERY_PARAMETERS_LIMIT = 256


def parse_query(raw: bytes, *, limit: int = QUERY_PARAMETERS_LIMIT) -> dict[str, list[str]]:
    """Names and values of a query string or an urlencoded form; `;` is data.

    Raises:
        BadRequest: more parameters than the limit, or bytes that are not UTF-8.

    Source: WHATWG URL, section 5.1 (application/x-www-form-urlencoded parsing).
    """
    found: dict[str, list[str]] = {}
    if raw:
        for name, _, value in query_pairs(raw, limit=limit):
            found.setdefault(name, []).append(value)
    return found


def query_pairs(raw: bytes, *, limit: int = QUERY_PARAMETERS_LIMIT) -> list[tuple[str, str, str]]:
    """The same as name, equals sign and value, in the order in which they were sent.

    Raises:
        BadRequest: as above.
    """
    if raw.count(b"&") >= limit:
        raise BadRequest(f"more than {limit} parameters")
    try:
        text = raw.decode()
        pairs = [pair.partition("=") for pair in text.split("&") if pair]
        if "%" in text or "+" in text:
            return [(_unquote(name), equals, _unquote(value)) for name, equals, value in pairs]
    except UnicodeDecodeError:
        raise BadRequest("the parameters are not UTF-8") from None
    return pairs


def _unquote(text: str) -> str:
    return unquote_plus(text, errors="strict")


def parse_cookies(raw: bytes) -> dict[str, str]:
    """Names and values of a `Cookie` header.

    A pair without a name is dropped, so that `=__Host-session=x` can never be read as the
    session's cookie.

    Source: RFC 6265, section 5.4; CVE-2023-23934 for the nameless pair.
    """
    found: dict[str, str] = {}
    for pair in raw.decode("latin-1").split(";"):
        name, equals, value = pair.partition("=")
        name = name.strip()
        if equals and name:
            found.setdefault(name, _unquoted(value.strip()))
    return found


def _unquoted(value: str) -> str:
    quoted = len(value) > 1 and value[0] == value[-1] == '"'
    return value[1:-1] if quoted else value
