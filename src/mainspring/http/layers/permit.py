"""Who is asking, and may they: decided before the body is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.http._problem import Forbidden, Unauthorized

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mainspring.auth import Policy, Principal
    from mainspring.http._pipeline import Handler, Layer
    from mainspring.http._request import Request
    from mainspring.http._response import Response

    Identify = Callable[[Request], Awaitable[Principal | None]]


def identify(find: Identify) -> Layer:
    """Write into the request who is asking; bad credentials end it with 401."""

    def wrap(inner: Handler) -> Handler:
        async def handle(request: Request) -> Response:
            request.principal = await find(request)
            return await inner(request)

        return handle

    return wrap


def permit(policy: Policy, *, challenge: str) -> Layer:
    """Go on only if the policy lets the principal in.

    Args:
        policy: decides.
        challenge: value of `WWW-Authenticate` for those who are not known.
    """

    def wrap(inner: Handler) -> Handler:
        async def handle(request: Request) -> Response:
            principal = request.principal
            if not policy.decide(principal):
                if principal is None:
                    raise Unauthorized(challenge=challenge)
                raise Forbidden("you may not do this")
            return await inner(request)

        return handle

    return wrap
