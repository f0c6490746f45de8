"""From a declared route to one that can answer: everything that can be known is known here."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal

from mainspring.http._binding import Binding, Provider, never_waits
from mainspring.http._encoding import compile_encoder, values_of
from mainspring.http._file import File, gives_files, without_files
from mainspring.http._pipeline import at_once, compose, driven
from mainspring.http._response import Response
from mainspring.http._router import UNSET
from mainspring.http._routing import CONVERTERS, Capture, Route, RouteError, parse_pattern
from mainspring.http._rows import at_a_glance, sending_rows
from mainspring.http._signature import Signature, read_signature
from mainspring.http._stream import as_coroutine, compile_stream, streamed
from mainspring.http._templates import may_be_template, rendered
from mainspring.http._websocket import WebSocket

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping
    from datetime import timedelta

    from mainspring.http._calls import Pools
    from mainspring.http._mount import Mounted
    from mainspring.http._pipeline import Handler, Layer
    from mainspring.http._request import Request
    from mainspring.http._response import Header
    from mainspring.http._templates import Pages


@dataclass(frozen=True, slots=True)
class Needs:
    """What a route's steps have to bring.

    Attributes:
        unit: a unit of work.
        principal: who is asking.
    """

    unit: bool
    principal: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Compilation:
    """What all routes of an application have in common.

    Attributes:
        providers: type to how its value is made.
        pools: where `def` handlers run.
        steps: the pipeline in order; each decides whether a route needs it.
        deadline: of routes that do not say.
        body_limit_bytes: of routes that do not say.
        common: headers of every answer that is data.
        pages: what renders templates; None for an application without any.
        database: gives what routes that return a statement read.
        vary: request headers that every answer depends on.
    """

    providers: Mapping[Any, Provider]
    pools: Pools
    steps: tuple[Callable[[Route, Needs], Layer | None], ...]
    deadline: timedelta | None
    body_limit_bytes: int
    common: tuple[Header, ...]
    database: Callable[[], Any]
    pages: Pages | None = None
    vary: tuple[str, ...] = ()


def compile_routes(declared: Iterable[Route], shared: Compilation) -> list[Route]:
    """All routes with their pipelines composed; a mount becomes several.

    Raises:
        RouteError: pattern and signature do not fit, or something cannot be bound.
    """
    compiled: list[Route] = []
    for route in declared:
        if route.kind == "mount":
            compiled += _compile_mount(route, shared)
        else:
            compiled.append(compile_route(route, shared))
    return compiled


def compile_route(declared: Route, shared: Compilation) -> Route:
    """The route with its pipeline composed.

    Raises:
        RouteError: pattern and signature do not fit, or something cannot be bound.
    """
    if declared.kind == "websocket":
        return _compile_socket(declared, shared)
    route, binding, needs = _prepared(declared, shared, shared.providers)
    signature = binding.signature
    route.in_place = (
        not (needs.unit or needs.principal or binding.waits or route.decompress)
        and never_waits(route.endpoint)
        and not (signature.of("form") or gives_files(signature.returns))
    )
    route.body = binding.body
    encode = _encoder(route, signature, shared)
    endpoint = as_coroutine(route.endpoint, signature.returns, route.title)
    if endpoint is not route.endpoint:
        _check_stays_open(route, signature, shared.providers, "the stream")
    call = binding.handler(shared.pools.bind(endpoint, cpu=route.cpu))
    if signature.rows:
        call = sending_rows(call, values_of(signature.returns))
    if gives_files(signature.returns):
        call = _with_files(call)
    handler = _answering(route, call, encode, shared)
    layers = _layers(route, needs, shared)
    route.answer = compose(layers, handler)
    if _at_a_glance(route, binding, shared):
        show = at_a_glance(shared.database().glance, values_of(signature.returns), encode)
        route.in_place, route.now = True, at_once(binding.immediate(route.endpoint), show)
    elif route.in_place:
        plain = not layers and not may_be_template(signature.returns)
        route.now = (
            at_once(binding.immediate(route.endpoint), encode) if plain else driven(route.answer)
        )
    return route


def _at_a_glance(route: Route, binding: Binding, shared: Compilation) -> bool:
    """Whether a route only returns a statement that its database may answer in place."""
    signature = binding.signature
    if not signature.rows or route.methods != {"GET"} or not shared.database().reads_in_place:
        return False
    if not never_waits(route.endpoint) or may_be_template(signature.returns):
        return False
    if signature.of("provided") or signature.of("form") or gives_files(signature.returns):
        return False
    # What remains of the pipeline when the unit of work and its deadline are not needed.
    return not _layers(replace(route, in_place=True), Needs(unit=False, principal=False), shared)


def _answering(
    route: Route,
    call: Callable[[Request], Awaitable[Any]],
    encode: Callable[[Request, Any], Response],
    shared: Compilation,
) -> Handler:
    signature = route.signature
    if signature is None or not may_be_template(signature.returns):
        return _encoded(call, encode)
    if shared.pages is not None:
        route.in_place = route.in_place and not shared.pages.reload
        return rendered(call, encode, shared.pages)
    if signature.returns is not Any:
        raise RouteError(
            f"{route.title}: it answers with a template, and the application has none",
            fix='say where they are: app.templates("templates")',
        )
    return _encoded(call, encode)


def _encoder(
    route: Route, signature: Signature, shared: Compilation
) -> Callable[[Request, Any], Response]:
    item = streamed(signature.returns)
    if item is not None:
        return compile_stream(item, status=route.status, common=shared.common)
    encode, route.json_headers = compile_encoder(
        without_files(signature.returns),
        status=route.status,
        common=shared.common,
        vary=shared.vary,
    )
    return encode


def _prepared(
    declared: Route, shared: Compilation, providers: Mapping[Any, Provider]
) -> tuple[Route, Binding, Needs]:
    route = replace(declared)
    route.deadline = shared.deadline if route.deadline is UNSET else route.deadline
    route.body_limit_bytes = route.body_limit_bytes or shared.body_limit_bytes
    segments = parse_pattern(route.pattern)
    captured = [segment.name for segment in segments if isinstance(segment, Capture)]
    signature = read_signature(route.endpoint, captured=captured, provided=providers)
    route.signature = signature
    route.segments = tuple(_typed(segment, signature, route) for segment in segments)
    return route, Binding(signature, providers), _needs(route, signature, providers)


def _layers(route: Route, needs: Needs, shared: Compilation) -> list[Layer]:
    return [layer for step in shared.steps if (layer := step(route, needs)) is not None]


_SOCKET: Final = Provider(lambda request: request.socket)
_BOUND: Final = Response(status=101)


def _compile_socket(declared: Route, shared: Compilation) -> Route:
    """A route whose answer only binds: the conversation itself comes after all steps."""
    providers = {**shared.providers, WebSocket: _SOCKET}
    route, binding, needs = _prepared(declared, shared, providers)
    _check_socket(route, binding.signature, providers)

    async def take(*arguments: Any, **named: Any) -> Callable[[], Awaitable[object]]:
        return partial(route.endpoint, *arguments, **named)

    bind = binding.handler(take)

    async def handle(request: Request) -> Response:
        request.socket.talk = await bind(request)
        return _BOUND

    route.answer = compose(_layers(route, needs, shared), handle)
    return route


def _compile_mount(declared: Route, shared: Compilation) -> list[Route]:
    """What answers below the prefix, what leads sockets there, and what adds the slash."""
    mounted: Mounted = declared.endpoint  # type: ignore[assignment]  # see Router.mount
    prefix = declared.pattern
    principal = declared.allow.needs_principal
    needs = Needs(unit=principal, principal=principal)

    async def answer(request: Request) -> Response:
        return await mounted.answer(request, prefix)

    async def bind(request: Request) -> Response:
        request.socket.talk = partial(mounted.talk, request.socket, prefix)
        return _BOUND

    async def add_slash(request: Request) -> Response:
        query = f"?{request.query_string.decode('latin-1')}" if request.query_string else ""
        location = f"{request.root_path}{prefix}/{query}"
        return Response(status=308, headers={"location": location})

    def below(kind: Literal["websocket", "mount"], pattern: str, inner: Handler) -> Route:
        route = replace(declared, kind=kind, pattern=pattern, signature=Signature((), Any))
        route.deadline = shared.deadline if route.deadline is UNSET else route.deadline
        route.body_limit_bytes = route.body_limit_bytes or shared.body_limit_bytes
        route.segments = parse_pattern(pattern)
        route.answer = compose(_layers(route, needs, shared), inner)
        return route

    everything = f"{prefix}/{{path:path}}"
    found = [below("mount", everything, answer), below("websocket", everything, bind)]
    if any(isinstance(segment, Capture) for segment in parse_pattern(prefix or "/")):
        raise RouteError(f"{declared.title}: a mount's prefix cannot have captures")
    return [*found, below("mount", prefix, add_slash)] if prefix else found


def _check_socket(route: Route, signature: Signature, providers: Mapping[Any, Provider]) -> None:
    if not inspect.iscoroutinefunction(route.endpoint):
        raise RouteError(f"{route.title}: a web socket needs a coroutine", fix="use `async def`")
    if signature.of("body") or signature.of("form"):
        raise RouteError(
            f"{route.title}: the request of a web socket has no body",
            fix="receive it as a message, or mark it with Query()",
        )
    _check_stays_open(route, signature, providers, "the conversation")


def _check_stays_open(
    route: Route, signature: Signature, providers: Mapping[Any, Provider], what: str
) -> None:
    """Refuse what belongs to a transaction to a handler that goes on after it."""
    for parameter in signature.of("provided"):
        provider = providers[parameter.kind]
        if provider.unit and not provider.principal:
            raise RouteError(
                f"{route.title}: {parameter.name} belongs to a transaction, which cannot last as"
                f" long as {what}",
                fix="open a unit of work for each step: `async with app.database.unit() as db`",
            )


def _encoded(
    call: Callable[[Request], Awaitable[Any]], encode: Callable[[Request, Any], Response]
) -> Handler:
    async def handle(request: Request) -> Response:
        return encode(request, await call(request))

    return handle


def _with_files(
    call: Callable[[Request], Awaitable[Any]],
) -> Callable[[Request], Awaitable[Any]]:
    """The same; a file that it returns is looked at first, and is a response then."""

    async def finish(request: Request) -> Any:
        result = await call(request)
        return await result.response(request) if isinstance(result, File) else result

    return finish


def _typed(segment: str | Capture, signature: Signature, route: Route) -> str | Capture:
    """The segment with the type of the handler's parameter, if the pattern has none."""
    if isinstance(segment, str) or segment.kind is not None:
        return segment
    parameter = next(p for p in signature.of("path") if p.name == segment.name)
    kind = parameter.plain
    if kind not in CONVERTERS:
        raise RouteError(
            f"{route.title}: a path cannot hold a {kind}",
            fix="use str, int, UUID or date",
        )
    return replace(segment, kind=kind)


def _needs(route: Route, signature: Signature, providers: Mapping[Any, Provider]) -> Needs:
    used = [providers[parameter.kind] for parameter in signature.of("provided")]
    principal = route.allow.needs_principal or any(provider.principal for provider in used)
    # Who is asking is read from the database, in the same unit as the rest.
    unit = principal or signature.rows or any(provider.unit for provider in used)
    return Needs(unit=unit, principal=principal)
