"""A route's steps, composed once at start."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any

from mainspring.http._request import Request
from mainspring.http._response import Response
from mainspring.http._routing import Route

if TYPE_CHECKING:
    from collections.abc import Iterable

Handler = Callable[[Request], Awaitable[Response]]
Layer = Callable[[Handler], Handler]


def compose(layers: Iterable[Layer], handler: Handler) -> Handler:
    """The handler inside of all layers, the first one outermost."""
    for layer in reversed(list(layers)):
        handler = layer(handler)
    return handler


def at_once(
    call: Callable[[Request], Coroutine[Any, Any, Any]],
    encode: Callable[[Request, Any], Response | None],
) -> Callable[[Request], Response | None]:
    """`call` and `encode` as a plain function, for a coroutine that ends in its first step.

    One coroutine instead of four, which is a fifth of what the smallest request costs.
    """

    def now(request: Request) -> Response | None:
        coroutine = call(request)
        try:
            coroutine.send(None)
        except StopIteration as done:
            return encode(request, done.value)
        coroutine.close()
        raise RuntimeError(f"{request.route.title} waited, and its code has no await")

    return now


def driven(handler: Handler) -> Callable[[Request], Response | None]:
    """A handler that ends in its first step as a plain function."""
    return at_once(handler, _as_it_is)  # type: ignore[arg-type]  # a handler is a coroutine function


def _as_it_is(_request: Request, response: Response) -> Response:
    return response


def immediate(answer: Handler) -> Route:
    """A route of our own that never waits."""
    return Route(
        methods=frozenset(),
        pattern="",
        endpoint=answer,
        answer=answer,
        in_place=True,
        now=driven(answer),
    )
