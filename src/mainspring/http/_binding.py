"""From request to arguments, compiled once per route.

The fast way stops at the first thing that is wrong. Only then the slow way looks at every
source, so that one answer names all violations.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from mainspring.http._body import BodyTooLarge
from mainspring.http._formats import StructuredBody
from mainspring.http._parameters import reader
from mainspring.http._problem import Invalid, Violation
from mainspring.http._request import parse_query
from mainspring.http._signature import REQUIRED, Parameter, Signature
from mainspring.http._text import Wrong
from mainspring.http._values import Mismatch, compile_values, convertible

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping

    from mainspring.http._forms import FormBody
    from mainspring.http._parameters import Values
    from mainspring.http._request import Request


Call = TypeVar("Call", bound="Awaitable[Any]")


class Provider(NamedTuple):
    """How a value is given by type.

    Attributes:
        make: from the request.
        waits: `make` returns an awaitable.
        unit: `make` uses the request's unit of work.
        principal: `make` uses who is asking.
        absent: what to raise when `make` gives None and the handler does not take it.
    """

    make: Callable[[Request], Any]
    waits: bool = False
    unit: bool = False
    principal: bool = False
    absent: Callable[[], Exception] | None = None


_NO_VALUES: Values = {}


class Binding:
    """How the arguments of one route are made.

    Attributes:
        body: reads the body; None for a route without one.
        waits: some argument has to be awaited.
    """

    def __init__(self, signature: Signature, providers: Mapping[Any, Provider]) -> None:
        self.signature = signature
        self.parameters = signature.parameters
        bodies = [*signature.of("body"), *signature.of("form")]
        self.body: FormBody | StructuredBody | None = _body_reader(bodies[0]) if bodies else None
        self._body_default = bodies[0].default if bodies else REQUIRED
        self._query = bool(signature.of("query"))
        self._reads = [reader(parameter, providers) for parameter in self.parameters]
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
        except Wrong:
            raise Invalid(self._violations(request)) from None

    def handler(
        self, endpoint: Callable[..., Awaitable[Any]]
    ) -> Callable[[Request], Awaitable[Any]]:
        """`endpoint` as a coroutine function of the request alone."""
        if self.body is None and not self._awaited and not self._keywords:
            return self._plain(endpoint)
        call = self._general(endpoint)
        plain = self.body is None or isinstance(self.body, StructuredBody)
        return call if plain else _closing_uploads(call)

    def immediate(
        self, endpoint: Callable[..., Coroutine[Any, Any, Any]]
    ) -> Callable[[Request], Coroutine[Any, Any, Any]]:
        """The same as a plain function, for a binding that never waits and a body that is here."""
        if not isinstance(self.body, StructuredBody):
            return self._plain(endpoint) if not self._keywords else self._bound(endpoint)
        value = self._structured(self.body)
        if len(self.parameters) == 1 and not self._keywords:
            return lambda request: endpoint(value(request, _here(request)))
        bound = self._bound(endpoint)
        return lambda request: bound(request, value(request, _here(request)))

    def _plain(self, endpoint: Callable[..., Call]) -> Callable[[Request], Call]:
        if not self.parameters:
            return lambda _: endpoint()
        arguments = self.arguments
        if convertible(self.parameters):
            read = compile_values(self.parameters)

            def call(request: Request) -> Call:
                try:
                    found: Iterable[Any] = read(request)
                except Mismatch:
                    found = arguments(request)
                return endpoint(*found)

            return call
        return lambda request: endpoint(*arguments(request))

    def _general(
        self, endpoint: Callable[..., Awaitable[Any]]
    ) -> Callable[[Request], Awaitable[Any]]:
        read_body = self._reading()

        async def call(request: Request) -> Any:
            body = None if read_body is None else await read_body(request)
            arguments = self.arguments(request, body)
            for at in self._awaited:
                arguments[at] = await arguments[at]
            return await self._called(endpoint, arguments)

        return call

    def _bound(self, endpoint: Callable[..., Call]) -> Callable[..., Call]:
        def call(request: Request, body: Any = None) -> Call:
            return self._called(endpoint, self.arguments(request, body))

        return call

    def _called(self, endpoint: Callable[..., Call], arguments: list[Any]) -> Call:
        if not self._keywords:
            return endpoint(*arguments)
        positional = len(self.parameters) - len(self._keywords)
        named = dict(zip(self._keywords, arguments[positional:], strict=True))
        return endpoint(*arguments[:positional], **named)

    def _reading(self) -> Callable[[Request], Awaitable[Any]] | None:
        match self.body:
            case None:
                return None
            case StructuredBody() as structured:
                value = self._structured(structured)

                async def read(request: Request) -> Any:
                    return value(request, await request.read())

                return read
            case form:
                return lambda request: self._read_form(form, request)

    def _structured(self, reader: StructuredBody) -> Callable[[Request, bytes], Any]:
        default, decode = self._body_default, reader.decode

        def value(request: Request, data: bytes) -> Any:
            if not data and default is not REQUIRED:
                return default
            try:
                return decode(request, data)
            except Invalid as exc:
                raise Invalid([*exc.violations, *self._violations(request)]) from None

        return value

    async def _read_form(self, reader: FormBody, request: Request) -> Any:
        try:
            return await reader.read(request)
        except Invalid as exc:
            raise Invalid([*exc.violations, *self._violations(request)]) from None

    def _violations(self, request: Request) -> list[Violation]:
        values = parse_query(request.query_string) if self._query else _NO_VALUES
        found: list[Violation] = []
        for parameter, read in zip(self.parameters, self._reads, strict=True):
            if parameter.source in _FROM_REQUEST:
                try:
                    read(request, values, None)
                except Wrong as exc:
                    found += exc.found
        return found


def _here(request: Request) -> bytes:
    """The whole body, which has arrived."""
    data = request.body.ready()
    assert data is not None  # who answers at once has looked
    if len(data) > request.route.body_limit_bytes:
        raise BodyTooLarge(request.route.body_limit_bytes)
    return data


_FROM_REQUEST = frozenset({"path", "query", "header", "cookie"})


def _closing_uploads(
    call: Callable[[Request], Awaitable[Any]],
) -> Callable[[Request], Awaitable[Any]]:
    """The call, whose files are gone when it ends, however it ends."""

    async def closing(request: Request) -> Any:
        request.uploads = []
        try:
            return await call(request)
        finally:
            for upload in request.uploads:
                upload.close()

    return closing


def _body_reader(parameter: Parameter) -> FormBody | StructuredBody:
    if parameter.source != "form":
        return StructuredBody(parameter)
    from mainspring.http._forms import FormBody  # noqa: PLC0415  # brings the parser of multipart

    return FormBody(parameter)


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
