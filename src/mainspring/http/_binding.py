"""From request to arguments, compiled once per route.

The fast way stops at the first thing that is wrong. Only then the slow way looks at every
source, so that one answer names all violations.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import msgspec

from mainspring.http._body import BodyTooLarge
from mainspring.http._explain import readable, violations
from mainspring.http._formats import StructuredBody
from mainspring.http._forms import FormBody
from mainspring.http._problem import Invalid, Violation
from mainspring.http._request import parse_query
from mainspring.http._signature import REQUIRED, Parameter, Signature, is_struct, unwrap

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from mainspring.http._request import Request

    Values = Mapping[str, list[str]]
    Read = Callable[[Request, Values, Any], Any]


class Provider(NamedTuple):
    """How a value is given by type.

    Attributes:
        make: from the request.
        waits: `make` returns an awaitable.
        unit: `make` uses the request's unit of work.
        principal: `make` uses who is asking.
    """

    make: Callable[[Request], Any]
    waits: bool = False
    unit: bool = False
    principal: bool = False


class BodyReader(Protocol):
    """Reads the one body of a route.

    Promises: raises a `Problem` of the 4xx kind for whatever a client can get wrong.
    """

    @property
    def media_types(self) -> tuple[str, ...]: ...
    def decode(self, request: Request, data: bytes) -> Any: ...


class _Wrong(Exception):  # a signal inside this file, never seen outside
    def __init__(self, found: list[Violation]) -> None:
        super().__init__(found)
        self.found = found


_NO_VALUES: Values = {}


class Binding:
    """How the arguments of one route are made.

    Attributes:
        body: reads the body; None for a route without one.
        waits: some argument has to be awaited.
    """

    def __init__(self, signature: Signature, providers: Mapping[Any, Provider]) -> None:
        self.parameters = signature.parameters
        bodies = [*signature.of("body"), *signature.of("form")]
        self.body: BodyReader | None = _body_reader(bodies[0]) if bodies else None
        self._body_default = bodies[0].default if bodies else REQUIRED
        self._query = bool(signature.of("query"))
        self._reads = [_reader(parameter, providers) for parameter in self.parameters]
        self._awaited = [
            at
            for at, parameter in enumerate(self.parameters)
            if parameter.source == "provided" and providers[parameter.kind].waits
        ]
        self._keywords = tuple(p.name for p in self.parameters if p.keyword)
        self.waits = bool(self._awaited)

    def arguments(self, request: Request, body: Any = None) -> list[Any]:
        """The arguments in order; those that wait are awaitables still.

        Raises:
            Invalid: something is missing or wrong; names all of it.
        """
        try:
            values = parse_query(request.query_string) if self._query else _NO_VALUES
            return [read(request, values, body) for read in self._reads]
        except _Wrong:
            raise Invalid(self._violations(request)) from None

    def handler(
        self, endpoint: Callable[..., Awaitable[Any]]
    ) -> Callable[[Request], Awaitable[Any]]:
        """`endpoint` as a coroutine function of the request alone."""
        if self.body is None and not self._awaited and not self._keywords:
            return self._plain(endpoint)
        return self._general(endpoint)

    def _plain(
        self, endpoint: Callable[..., Awaitable[Any]]
    ) -> Callable[[Request], Awaitable[Any]]:
        if not self.parameters:
            return lambda _: endpoint()
        arguments = self.arguments
        return lambda request: endpoint(*arguments(request))

    def _general(
        self, endpoint: Callable[..., Awaitable[Any]]
    ) -> Callable[[Request], Awaitable[Any]]:
        positional = len(self.parameters) - len(self._keywords)

        async def call(request: Request) -> Any:
            body = None if self.body is None else await self._read_body(request)
            arguments = self.arguments(request, body)
            for at in self._awaited:
                arguments[at] = await arguments[at]
            if not self._keywords:
                return await endpoint(*arguments)
            named = dict(zip(self._keywords, arguments[positional:], strict=True))
            return await endpoint(*arguments[:positional], **named)

        return call

    async def _read_body(self, request: Request) -> Any:
        reader = self.body
        if isinstance(reader, FormBody):
            return await reader.read(request)
        data = request.body.ready()
        if data is None:
            data = await request.read()
        elif len(data) > request.route.body_limit_bytes:
            raise BodyTooLarge(request.route.body_limit_bytes)
        if not data and self._body_default is not REQUIRED:
            return self._body_default
        try:
            return reader.decode(request, data)  # type: ignore[union-attr]  # called only with a reader
        except Invalid as exc:
            raise Invalid([*exc.violations, *self._violations(request)]) from None

    def _violations(self, request: Request) -> list[Violation]:
        values = parse_query(request.query_string) if self._query else _NO_VALUES
        found: list[Violation] = []
        for parameter, read in zip(self.parameters, self._reads, strict=True):
            if parameter.source in _FROM_REQUEST:
                try:
                    read(request, values, None)
                except _Wrong as exc:
                    found += exc.found
        return found


_FROM_REQUEST = frozenset({"query", "header", "cookie"})


def _body_reader(parameter: Parameter) -> BodyReader:
    return FormBody(parameter) if parameter.source == "form" else StructuredBody(parameter)


def _reader(  # noqa: PLR0911  # one return a source
    parameter: Parameter, providers: Mapping[Any, Provider]
) -> Read:
    name = parameter.name
    match parameter.source:
        case "path":
            return _path(parameter)
        case "provided":
            make = providers[parameter.kind].make
            return lambda request, _, __: make(request)
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


def _text(raw: bytes | None) -> str | None:
    return None if raw is None else raw.decode("latin-1")


def _path(parameter: Parameter) -> Read:
    name, kind = parameter.name, parameter.kind
    if unwrap(kind)[0] is kind:
        return lambda request, _, __: request.path_params[name]

    def read(request: Request, _values: Values, _body: Any) -> Any:
        try:
            return msgspec.convert(request.path_params[name], kind)
        except msgspec.ValidationError as exc:
            raise _Wrong([Violation(readable(exc), parameter=name)]) from None

    return read


def _query(parameter: Parameter) -> Read:
    name, kind, default = parameter.wire_name, parameter.kind, parameter.default
    many = _takes_many(kind)
    plain = kind is str

    def read(_request: Request, values: Values, _body: Any) -> Any:
        sent = values.get(name)
        if sent is None:
            return _default(name, default)
        if plain:
            return sent[-1]
        return _converted(name, sent if many else sent[-1], kind)

    return read


def _single(parameter: Parameter, find: Callable[[Request], str | None]) -> Read:
    name, kind, default = parameter.wire_name, parameter.kind, parameter.default

    def read(request: Request, _values: Values, _body: Any) -> Any:
        sent = find(request)
        return _default(name, default) if sent is None else _converted(name, sent, kind)

    return read


def _default(name: str, default: Any) -> Any:
    if default is REQUIRED:
        raise _Wrong([Violation("is required", parameter=name)])
    return default


def _converted(name: str, sent: Any, kind: Any) -> Any:
    try:
        return msgspec.convert(sent, kind, strict=False)
    except (msgspec.ValidationError, ValueError) as exc:
        raise _Wrong([Violation(readable(exc), parameter=name)]) from None


def _takes_many(kind: Any) -> bool:
    return getattr(unwrap(kind)[0], "__origin__", None) in {list, tuple, set, frozenset}


def _query_struct(kind: Any) -> Read:
    fields = {field.encode_name: _takes_many(field.type) for field in msgspec.structs.fields(kind)}

    def read(_request: Request, values: Values, _body: Any) -> Any:
        sent = {
            n: values[n] if many else values[n][-1] for n, many in fields.items() if n in values
        }
        try:
            return msgspec.convert(sent, kind, strict=False)
        except msgspec.ValidationError:
            wrong = violations(sent, kind, strict=False)
        raise _Wrong([Violation(v.detail, parameter=(v.pointer or "")[2:]) for v in wrong])

    return read


def never_waits(endpoint: Callable[..., Any]) -> bool:
    """Whether a coroutine function has no `await`, so that it ends in its first step.

    Then it may run without a task: nothing in it can ask for one, time out or be cancelled.
    """
    code = getattr(endpoint, "__code__", None)
    if code is None or not inspect.iscoroutinefunction(endpoint):
        return False
    return _WAITING.isdisjoint(_operations(code))


_WAITING = frozenset({"GET_AWAITABLE", "GET_AITER", "BEFORE_ASYNC_WITH", "YIELD_FROM"})


def _operations(code: Any) -> set[str]:
    import dis  # noqa: PLC0415  # only used at start, and a millisecond to import

    return {instruction.opname for instruction in dis.get_instructions(code)}
