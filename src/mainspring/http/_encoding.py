"""From what a handler returns to a response, compiled once per route from its annotation."""

from __future__ import annotations

from functools import reduce
from operator import or_
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Final, Union, get_args, get_origin

import msgspec
from msgspec import structs

from mainspring.errors import MainspringError
from mainspring.http._file import File
from mainspring.http._negotiate import preferred
from mainspring.http._problem import Problem
from mainspring.http._response import Answer, Encoded, Header, Html, Response
from mainspring.http._templates import Template

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.http._request import Request

    Encode = Callable[[Request, Any], Response]

_JSON: Final = b"application/json"
# With nothing after it that would weigh it less.
_JSON_FIRST: Final = b"application/json,"
_NO_WISH: Final = frozenset({b"*/*", _JSON})
_MSGPACK: Final = b"application/msgpack"
FORMATS: Final = ("application/json", "application/msgpack")

to_json: Final = msgspec.json.Encoder().encode
to_msgpack: Final = msgspec.msgpack.Encoder().encode


class UnexpectedResult(MainspringError):
    """A handler returned something else than its annotation says."""

    code = "http.unexpected-result"


class NotAcceptable(Problem):
    """406: the client takes none of the formats that there are."""

    def __init__(self) -> None:
        super().__init__(406, f"this can be sent as {' or '.join(FORMATS)}")


class Formats:
    """Encodes values of a route in the format that the client wants.

    Attributes:
        json_headers: constant headers of JSON answers, by which a server knows them.
    """

    def __init__(self, common: tuple[Header, ...], vary: tuple[str, ...] = ()) -> None:
        varies = (b"vary", ", ".join(["accept", *vary]).encode())
        self.json_headers: tuple[Header, ...] = ((b"content-type", _JSON), varies, *common)
        self._msgpack_headers: tuple[Header, ...] = ((b"content-type", _MSGPACK), varies, *common)

    def encode(self, request: Request, value: Any, status: int) -> Response:
        """The value as a response.

        Raises:
            NotAcceptable: the client takes none of the formats.
        """
        accept = request.raw_headers.get(b"accept")
        if accept is None or accept in _NO_WISH or accept.startswith(_JSON_FIRST):
            return Encoded(to_json(value), status, self.json_headers)
        match preferred(accept.decode("latin-1"), FORMATS):
            case "application/json":
                return Encoded(to_json(value), status, self.json_headers)
            case "application/msgpack":
                return Encoded(to_msgpack(value), status, self._msgpack_headers)
            case _:
                raise NotAcceptable


def compile_encoder(
    returns: Any,
    *,
    status: int | None,
    common: tuple[Header, ...] = (),
    vary: tuple[str, ...] = (),
) -> tuple[Encode, tuple[Header, ...]]:
    """How a route's results become responses.

    Args:
        returns: the handler's return annotation.
        status: of a plain result; None for 200, or 204 without content.
        common: headers that every answer carries.
        vary: request headers that answers depend on, beside `Accept`.

    Returns:
        The encoder, and the constant headers of its JSON answers.
    """
    kind, answer = _inner(values_of(returns))
    formats = Formats(common, vary)
    fits = _fitting(kind)
    plain_status = status or (answer.status if answer else 200)

    def general(request: Request, result: Any) -> Response:
        if isinstance(result, Response):
            return result
        if isinstance(result, Answer):
            response = plain(request, result.value, result.status)
            for name, text in result.headers.items():
                response.set_header(name, text)
            return response
        return plain(request, result, plain_status if result is not None else status or 204)

    def plain(request: Request, value: Any, code: int) -> Response:
        if value is None:
            return Response(status=code)
        if isinstance(value, (str, bytes)):
            return _text(value, code, kind)
        return formats.encode(request, fits(value), code)

    exact = _exactly(kind)
    if exact is None:
        return general, formats.json_headers
    return _fast(exact, answer, plain_status, formats, general), formats.json_headers


def _exactly(kind: Any) -> Callable[[Any], bool] | None:
    """Whether a result is of the very type, for types where one look can tell."""
    if _is_struct(kind):
        return lambda result: type(result) is kind
    if get_origin(kind) is list and _is_struct(get_args(kind)[0]):
        items = {get_args(kind)[0]}
        return lambda result: type(result) is list and {*map(type, result)} <= items
    return None


def _fast(
    exact: Callable[[Any], bool],
    answer: type[Answer[Any]] | None,
    status: int,
    formats: Formats,
    general: Encode,
) -> Encode:
    """The same for the commonest results, which go to JSON as they are."""
    json_headers = formats.json_headers

    def encode(request: Request, result: Any) -> Response:
        if exact(result) and request.raw_headers.get(b"accept", b"*/*") == b"*/*":
            return Encoded(to_json(result), status, json_headers)
        return general(request, result)

    def encode_answer(request: Request, result: Any) -> Response:
        if type(result) is answer and not result.headers and exact(result.value):
            return encode(request, result.value)
        return general(request, result)

    return encode if answer is None else encode_answer


def values_of(returns: Any) -> Any:
    """An annotation without its ready answers, such as `Redirect` in `Note | Redirect`."""
    if get_origin(returns) not in {Union, UnionType}:
        return returns
    rest = [part for part in get_args(returns) if not _is_response(part) and part is not Template]
    return reduce(or_, rest) if rest else Any


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
        return _unannotated
    exact = _exactly(kind) or (lambda result: type(result) is kind)
    generic = get_origin(kind) if _is_struct(get_origin(kind)) else None

    def fit(result: Any) -> Any:
        if exact(result):
            return result
        if generic is not None and type(result) is generic:
            # `convert` takes any `Paged` for a `Paged[Book]`, and looks at no item.
            result = structs.asdict(result)
        try:
            return msgspec.convert(result, kind, from_attributes=True)
        except msgspec.ValidationError as exc:
            raise UnexpectedResult(
                f"the handler returned {type(result).__name__}, which is no {kind}: {exc}",
                fix="return what the annotation says, or change the annotation",
            ) from exc

    return fit


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _unannotated(result: Any) -> Any:
    if isinstance(result, File):
        raise UnexpectedResult(
            "the handler returned a File and does not say so",
            fix="annotate it with -> File, since the file is looked at before the answer",
        )
    return result


def _is_response(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Response)


def _text(result: str | bytes, status: int, kind: Any) -> Response:
    if isinstance(result, Html) or kind is Html:
        return Response(result, status=status, media_type="text/html; charset=utf-8")
    if isinstance(result, str):
        return Response(result, status=status, media_type="text/plain; charset=utf-8")
    return Response(result, status=status, media_type="application/octet-stream")
