"""One argument of a handler from its source in the request, compiled once per route."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainspring.http._explain import readable
from mainspring.http._problem import Violation
from mainspring.http._signature import REQUIRED, Parameter, is_struct, unwrap
from mainspring.http._text import TextStruct, Wrong, converter, slot

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mainspring.http._binding import Provider
    from mainspring.http._request import Request

    Values = Mapping[str, list[str]]
    Read = Callable[[Request, Values, Any], Any]


def reader(  # noqa: PLR0911  # one return a source
    parameter: Parameter, providers: Mapping[Any, Provider]
) -> Read:
    """What makes the argument from the request, its query and its body.

    What it reads raises `Wrong` with the violations.
    """
    name = parameter.name
    match parameter.source:
        case "path":
            return _path(parameter)
        case "provided":
            return _provided(providers[parameter.kind], optional=parameter.optional)
        case "body" | "form":
            return lambda _, __, body: body
        case "query" if is_struct(unwrap(parameter.kind)[0]):
            return _query_struct(unwrap(parameter.kind)[0])
        case "query":
            return _query(parameter)
        case "header":
            raw = parameter.wire_name.lower().encode()
            return _single(parameter, lambda request: _text(request.raw_headers.get(raw)))
        case "cookie":
            wire = parameter.wire_name
            return _single(parameter, lambda request: request.cookies.get(wire))
    raise AssertionError(name)


def _provided(provider: Provider, *, optional: bool) -> Read:
    make, absent = provider.make, provider.absent
    if absent is None or optional:
        return lambda request, _, __: make(request)

    def read(request: Request, _values: Values, _body: Any) -> Any:
        value = make(request)
        if value is None:
            raise absent()
        return value

    return read


def _text(raw: bytes | None) -> str | None:
    return None if raw is None else raw.decode("latin-1")


def _path(parameter: Parameter) -> Read:
    name, kind = parameter.name, parameter.kind
    if unwrap(kind)[0] is kind:
        return lambda request, _, __: request.path_params[name]
    convert = _converter(name, kind)
    return lambda request, _, __: convert(request.path_params[name])


def _query(parameter: Parameter) -> Read:
    name, kind, default = parameter.wire_name, parameter.kind, parameter.default
    many = slot(kind).many
    plain = kind is str
    convert = _converter(name, kind)

    def read(_request: Request, values: Values, _body: Any) -> Any:
        sent = values.get(name)
        if sent is None:
            return _default(name, default)
        if many:
            return convert(sent)
        if len(sent) > 1:
            raise Wrong([Violation("is given more than once", parameter=name)])
        return sent[0] if plain else convert(sent[0])

    return read


def _single(parameter: Parameter, find: Callable[[Request], str | None]) -> Read:
    name, default = parameter.wire_name, parameter.default
    convert = _converter(name, parameter.kind)

    def read(request: Request, _values: Values, _body: Any) -> Any:
        sent = find(request)
        return _default(name, default) if sent is None else convert(sent)

    return read


def _default(name: str, default: Any) -> Any:
    if default is REQUIRED:
        raise Wrong([Violation("is required", parameter=name)])
    return default


def _converter(name: str, kind: Any) -> Callable[[Any], Any]:
    convert = converter(kind)

    def read(sent: Any) -> Any:
        try:
            return convert(sent)
        except ValueError as exc:
            raise Wrong([Violation(readable(exc, kind), parameter=name)]) from None

    return read


def _query_struct(kind: Any) -> Read:
    struct = TextStruct(kind)
    known = struct.slots.keys()

    def read(_request: Request, values: Values, _body: Any) -> Any:
        sent = {name: texts for name, texts in values.items() if name in known}
        try:
            return struct.read(sent)
        except Wrong as exc:
            found = exc.found
        raise Wrong([Violation(v.detail, parameter=(v.pointer or "")[2:]) for v in found])

    return read
