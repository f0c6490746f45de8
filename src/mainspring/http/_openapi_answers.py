"""What an operation may answer: its results, and the problems that its declaration implies."""

from __future__ import annotations

from functools import reduce
from http import HTTPStatus
from operator import or_
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Final, Union, get_args, get_origin

import msgspec

from mainspring.auth import Principal
from mainspring.http._encoding import FORMATS
from mainspring.http._file import File
from mainspring.http._problem import Violation
from mainspring.http._response import Answer, Html, Redirect, Response
from mainspring.http._routing import Capture
from mainspring.http._sse import Event
from mainspring.http._stream import is_events, media_type_of, streamed
from mainspring.http._templates import Template

if TYPE_CHECKING:
    from mainspring.http._openapi_schemas import Schemas
    from mainspring.http._routing import Route

_PROBLEM: Final = "application/problem+json"
_WHEN: Final = {
    400: "The request makes no sense as it is.",
    401: "Nobody is known to be asking, or the credentials are bad.",
    403: "Who is asking may not do this.",
    404: "There is no such thing.",
    406: "None of the formats that there are is accepted.",
    413: "The body is larger than it may be.",
    415: "The body is in a format that is not taken.",
    422: "Some parts of the request are not acceptable; all of them are named.",
}
# The phrases of the library differ from one version of Python to the next.
_NAMES: Final = {413: "ContentTooLarge", 422: "UnprocessableContent", 0: "Problem"}
_ANY: Final = "Anything else that went wrong."


class ProblemDocument(msgspec.Struct, rename={"kind": "type"}):
    """What went wrong (RFC 9457).

    Attributes:
        kind: stable name of the kind of problem.
        title: the phrase of the status.
        status: the HTTP status.
        request_id: by which the logs know the request.
        detail: what happened this time, for a person.
        errors: every part of the request that is not acceptable.
    """

    kind: str
    title: str
    status: int
    request_id: str
    detail: str | None = None
    errors: list[Violation] | None = None


class Answers:
    """The responses of a document.

    Args:
        schemas: where types are named.
        problems: whether errors are problem documents.
    """

    def __init__(self, schemas: Schemas, *, problems: bool) -> None:
        self._schemas = schemas
        self._problem = schemas.of(ProblemDocument) if problems else None
        self._shared: dict[str, Any] = {}

    def shared(self) -> dict[str, Any]:
        """The problems that were referred to, by their names."""
        return dict(sorted(self._shared.items()))

    def of(self, route: Route, *, authenticated: bool) -> dict[str, Any]:
        """Status to response, those of success first."""
        assert route.signature is not None  # set by compile
        found = self._results(route, route.signature.returns)
        for status in sorted(_implied(route, authenticated=authenticated)):
            found.setdefault(str(status), self._refer(status))
        found["default"] = self._refer(0)
        return found

    def _refer(self, status: int) -> dict[str, Any]:
        name = _NAMES.get(status) or HTTPStatus(status).phrase.title().replace(" ", "")
        if name not in self._shared:
            response: dict[str, Any] = {"description": _WHEN.get(status, _ANY)}
            if self._problem is not None:
                response["content"] = {_PROBLEM: {"schema": self._problem}}
            self._shared[name] = response
        return {"$ref": f"#/components/responses/{name}"}

    def _results(self, route: Route, returns: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if get_origin(returns) in {Union, UnionType}:
            special = [part for part in get_args(returns) if _stands_alone(part)]
            rest = [part for part in get_args(returns) if not _stands_alone(part)]
            parts = [*([reduce(or_, rest)] if rest else []), *special]
        else:
            parts = [returns]
        for part in parts:
            status, content = self._result(route, part)
            response = found.setdefault(str(status), {"description": HTTPStatus(status).phrase})
            if content:
                response["content"] = response.get("content", {}) | content
        return found

    def _result(self, route: Route, kind: Any) -> tuple[int, dict[str, Any]]:
        """Status and content of one kind of result."""
        if kind in {None, NoneType}:
            return route.status or 204, {}
        status, inner = _unwrapped(kind, route.status)
        item = streamed(inner)
        if item is not None:
            return status, {media_type_of(item): {"schema": self._piece(item)}}
        media_type = _media_type(inner)
        if media_type is not None:
            schema = {} if media_type == "*/*" else {"type": "string"}
            return status, {media_type: {"schema": schema}} if media_type else {}
        schema = self._schemas.of(inner)
        return status, {each: {"schema": schema} for each in FORMATS}

    def _piece(self, item: Any) -> dict[str, Any]:
        """The schema of one piece of a stream, as version 3.2 has it for events."""
        if not is_events(item):
            return self._schemas.of(Any if item is bytes else item)
        kind = _data_of(item)
        data: dict[str, Any] = {"type": "string"}
        if kind is not str:
            data |= {
                "contentMediaType": "application/json",
                "contentSchema": self._schemas.of(kind),
            }
        text, number = {"type": "string"}, {"type": "integer"}
        properties = {"data": data, "event": text, "id": text, "retry": number}
        return {"type": "object", "properties": properties, "required": ["data"]}


def _stands_alone(kind: Any) -> bool:
    """Whether a part of a union is a response of its own, and not one shape of the value."""
    origin = get_origin(kind) or kind
    if kind in {NoneType, str, bytes, File, Template}:
        return True
    return isinstance(origin, type) and issubclass(origin, (Answer, Response, Html))


def _unwrapped(kind: Any, status: int | None) -> tuple[int, Any]:
    origin = get_origin(kind) or kind
    if isinstance(origin, type) and issubclass(origin, Answer):
        return origin.status, (get_args(kind) or (Any,))[0]
    return status or (303 if origin is Redirect else 200), kind


def _media_type(kind: Any) -> str | None:
    """What a result of text, bytes or a ready response has; None for values, empty for any."""
    if kind is Template or (isinstance(kind, type) and issubclass(kind, Html)):
        return "text/html"
    if kind is str:
        return "text/plain"
    if kind is bytes:
        return "application/octet-stream"
    if kind is File:
        return "*/*"  # it depends on the file
    return "" if isinstance(kind, type) and issubclass(kind, Response) else None


def _data_of(item: Any) -> Any:
    """The data of events, without the wrapping."""
    if get_origin(item) in {Union, UnionType}:
        rest = [part for part in get_args(item) if get_origin(part) is not Event]
        return reduce(or_, rest) if rest else Any
    return Any


def _implied(route: Route, *, authenticated: bool) -> set[int]:
    """The problems that a route's declaration makes possible."""
    signature = route.signature
    assert signature is not None  # set by compile
    has = {parameter.source for parameter in signature.parameters}
    found: set[int] = set()
    if has & {"query", "header", "cookie", "body", "form"}:
        found |= {400, 422}
    if has & {"body", "form"}:
        found |= {413, 415}
    if any(isinstance(segment, Capture) for segment in route.segments):
        found |= {404, 422} if _constrained(route) else {404}
    if authenticated:
        found.add(401)
    if route.allow.needs_principal and not _lets_in_anybody_known(route):
        found.add(403)
    if route.json_headers and signature.returns not in {None, NoneType, str, bytes, File, Html}:
        found.add(406)
    return found


def _constrained(route: Route) -> bool:
    assert route.signature is not None  # set by compile
    return any(parameter.plain is not parameter.kind for parameter in route.signature.of("path"))


def _lets_in_anybody_known(route: Route) -> bool:
    """Whether it is enough for a policy to know who is asking, as for `signed_in`."""
    try:
        return bool(route.allow.decide(Principal(user_id=0)))
    except Exception:  # noqa: BLE001  # a policy that looks closer than at an id
        return False
