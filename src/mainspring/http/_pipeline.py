"""A route's steps, composed once at start."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from mainspring.http._request import Request
from mainspring.http._response import Response

if TYPE_CHECKING:
    from collections.abc import Iterable

Handler = Callable[[Request], Awaitable[Response]]
Layer = Callable[[Handler], Handler]


def compose(layers: Iterable[Layer], handler: Handler) -> Handler:
    """The handler inside of all layers, the first one outermost."""
    for layer in reversed(list(layers)):
        handler = layer(handler)
    return handler
