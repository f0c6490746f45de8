"""From what a handler returns to a response, compiled once per route from its annotation."""

from __future__ import annotations

from types import NoneType
from typing import TYPE_CHECKING, Any, Final, get_args, get_origin

import msgspec

from mainspring.errors import MainspringError
from mainspring.http._negotiate import preferred
from mainspring.http._problem import Problem
from mainspring.http._response import Answer, Header, Html, Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.http._request import Request

    Encode = Callable[[Request, Any], Response]

_JSON: Final = b"application/json"
_MSGPACK: Final = b"application/msgpack"
FORMATS: Final = ("application/json", "application/msgpack")


class UnexpectedResult(MainspringError):
    """A handler returned something else than its annotation says."""

    code = "http.unexpected-result"


class NotAcceptable(Problem):
    """406: the client takes none of the formats that there are."""

    def __init__(self) -> None:
        super().__init__(406, f"this can be sent as {' or '.join(FORMATS)}")


to_json: Final = msgspec.json.Encoder().encode
to_msgpack: Final = msgspec.msgpack.Encoder().encode


def compile_encoder(
    returns: Any, *, status: int | None, common: tuple[Header, ...] = ()
) -> tuple[Encode, tuple[Header, ...]]:
    """How a route's results become responses.

    Args:
        returns: the handler's return annotation.
        status: of a plain result; None for 200, or 204 without content.
        common: headers that every answer carries.

    Returns:
        The encoder, and the constant headers of its JSON answers.
    """
    inner, answer = _inner(returns)
    json_headers = (b"content-type", _JSON), (b"vary", b"accept"), *common
    msgpack_headers = (b"content-type", _MSGPACK), (b"vary", b"accept"), *common
    plain_status = status or (answer.status if answer else 200)
    fits = _fitting(inner)

    def encode(request: Request, result: Any) -> Response:
        code, extra = plain_status, None
        if isinstance(result, Response):
            return result
        if isinstance(result, Answer):
            code, extra, result = result.status, result.headers, result.value
        if result is None:
            return Response(status=status or 204)
        if isinstance(result, (str, bytes)):
            return _text(result, code, inner)
        value = fits(result)
        accept = request.raw_headers.get(b"accept")
        if accept is None or accept == b"*/*" or accept.startswith(_JSON):
            response = Response(to_json(value), status=code, frozen_headers=json_headers)
        else:
            response = _negotiated(accept, value, code, json_headers, msgpack_headers)
        for name, text in (extra or {}).items():
            response.set_header(name, text)
        return response

    return encode, json_headers


def _inner(returns: Any) -> tuple[Any, type[Answer[Any]] | None]:
    origin = get_origin(returns)
    if isinstance(origin, type) and issubclass(origin, Answer):
        return (get_args(returns) or (Any,))[0], origin
    if isinstance(returns, type) and issubclass(returns, Answer):
        return Any, returns
    return returns, None


def _fitting(kind: Any) -> Callable[[Any], Any]:
    """What makes a result fit its annotation: nothing when it is of the very type already."""
    if kind in {Any, None, NoneType, str, bytes, Html} or _is_response(kind):
        return lambda result: result

    def fit(result: Any) -> Any:
        if type(result) is kind:
            return result
        try:
            return msgspec.convert(result, kind, from_attributes=True)
        except msgspec.ValidationError as exc:
            raise UnexpectedResult(
                f"the handler returned {type(result).__name__}, which is no {kind}: {exc}",
                fix="return what the annotation says, or change the annotation",
            ) from exc

    return fit


def _is_response(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Response)


def _text(result: str | bytes, status: int, kind: Any) -> Response:
    if isinstance(result, Html) or kind is Html:
        return Response(result, status=status, media_type="text/html; charset=utf-8")
    if isinstance(result, str):
        return Response(result, status=status, media_type="text/plain; charset=utf-8")
    return Response(result, status=status, media_type="application/octet-stream")


def _negotiated(
    accept: bytes,
    value: Any,
    status: int,
    json_headers: tuple[Header, ...],
    msgpack_headers: tuple[Header, ...],
) -> Response:
    match preferred(accept.decode("latin-1"), FORMATS):
        case "application/json":
            return Response(to_json(value), status=status, frozen_headers=json_headers)
        case "application/msgpack":
            return Response(to_msgpack(value), status=status, frozen_headers=msgpack_headers)
        case _:
            raise NotAcceptable
