"""From a declared route to one that can answer: everything that can be known is known here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mainspring.http._binding import Binding, Provider, never_waits
from mainspring.http._encoding import compile_encoder
from mainspring.http._pipeline import compose
from mainspring.http._router import UNSET
from mainspring.http._routing import CONVERTERS, Capture, Route, RouteError, parse_pattern
from mainspring.http._signature import Signature, read_signature

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import timedelta

    from mainspring.http._calls import Pools
    from mainspring.http._pipeline import Handler, Layer
    from mainspring.http._request import Request
    from mainspring.http._response import Header, Response


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
        common: headers of every answer.
    """

    providers: Mapping[Any, Provider]
    pools: Pools
    steps: tuple[Callable[[Route, Needs], Layer | None], ...]
    deadline: timedelta | None
    body_limit_bytes: int
    common: tuple[Header, ...]


def compile_route(declared: Route, shared: Compilation) -> Route:
    """The route with its pipeline composed.

    Raises:
        RouteError: pattern and signature do not fit, or something cannot be bound.
    """
    route = replace(declared)
    route.deadline = shared.deadline if route.deadline is UNSET else route.deadline
    route.body_limit_bytes = route.body_limit_bytes or shared.body_limit_bytes
    segments = parse_pattern(route.pattern)
    captured = [segment.name for segment in segments if isinstance(segment, Capture)]
    signature = read_signature(route.endpoint, captured=captured, provided=shared.providers)
    route.signature = signature
    route.segments = tuple(_typed(segment, signature, route) for segment in segments)
    binding = Binding(signature, shared.providers)
    needs = _needs(route, signature, shared.providers)
    route.in_place = (
        not (needs.unit or needs.principal or binding.waits or route.limit or route.decompress)
        and never_waits(route.endpoint)
        and not signature.of("form")
    )
    encode, route.json_headers = compile_encoder(
        signature.returns, status=route.status, common=shared.common
    )
    call = binding.handler(shared.pools.bind(route.endpoint, cpu=route.cpu))
    layers = [layer for step in shared.steps if (layer := step(route, needs)) is not None]
    route.answer = compose(layers, _encoded(call, encode))
    return route


def _encoded(
    call: Callable[[Request], Awaitable[Any]], encode: Callable[[Request, Any], Response]
) -> Handler:
    async def handle(request: Request) -> Response:
        return encode(request, await call(request))

    return handle


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
    return Needs(unit=principal or any(provider.unit for provider in used), principal=principal)
