"""The application as a server sees it: find the route, then await the answer.

This is the whole of the seam between a server and the framework. `route` never waits, so
that a server knows before it starts a request whether a task is needed (`Route.in_place`).
`answer` and `socket` never raise anything but a cancellation.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from mainspring import telemetry
from mainspring.http._conversation import converse
from mainspring.http._pipeline import immediate
from mainspring.http._problem import Problem, as_problem, render
from mainspring.http._response import Response
from mainspring.http._routing import Route, Routes
from mainspring.http.layers.compression import MINIMUM_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from mainspring.http._request import Request
    from mainspring.http._transport import SocketTransport
    from mainspring.http.layers.compression import Compression
    from mainspring.http.layers.cors import CrossOrigin
    from mainspring.http.layers.origin import Origins
    from mainspring.http.layers.protect import Hosts, Protection

    Sink = Callable[[Request], None]


CLIENT_GONE: Final = 499
"""What is recorded for a request whose client left before the answer (nginx's number)."""


class Core:
    """A compiled application.

    Args:
        routes: every operation, complete.
        hosts: which hosts are answered.
        origins: whose pages may open web sockets.
        protection: the headers of every answer.
        cross_origin: what pages of other origins may; None when none may anything.
        compression: of answers; None for none.
        translations: errors of the application as problems.
        render: a problem as a response; what an application may replace.
        sinks: told of each request when its answer is known.
        debug: answers of unforeseen errors say what they were.
    """

    def __init__(  # noqa: PLR0913  # the parts of an application
        self,
        routes: Iterable[Route],
        *,
        hosts: Hosts,
        origins: Origins,
        protection: Protection,
        cross_origin: CrossOrigin | None = None,
        compression: Compression | None = None,
        translations: Mapping[type[BaseException], Callable[[Any], Problem | None]],
        renderer: Callable[[Problem, Request], Response] = render,
        sinks: tuple[Sink, ...] = (),
        debug: bool = False,
    ) -> None:
        self.declared = tuple(routes)
        self.routes = Routes(route for route in self.declared if route.kind != "websocket")
        self.has_sockets = any(route.kind == "websocket" for route in self.declared)
        self.sockets = Routes(route for route in self.declared if route.kind == "websocket")
        self._hosts = hosts
        self._origins = origins
        self._protection = protection
        self._cross_origin = cross_origin
        self._annotate = None if cross_origin is None else cross_origin.annotation
        self._compression = compression
        self._translations = translations
        self._renderer = renderer
        self._tell = _joined(sinks)
        self._debug = debug

    def route(self, request: Request) -> Route:
        """Find and set the request's route; one that refuses if there is none."""
        try:
            self._hosts.check(request)
        except Problem as problem:
            route = refusal(problem.status, problem.detail)
        else:
            if self._cross_origin is not None and request.method == "OPTIONS":
                preflight = self._cross_origin.preflight(request)
                if preflight is not None:
                    request.route = preflight
                    return preflight
            found = self.routes.match(request)
            if isinstance(found, Route):
                route = found
            elif request.method == "HEAD" and "GET" in found:
                route = self._as_get(request)
            elif not found and isinstance(self.sockets.match(request), Route):
                route = _UPGRADE
            elif not request.path.startswith("/"):
                route = _SERVER_WIDE if request.method == "OPTIONS" else _NO_PATH
            else:
                route = unmatched(request.method, found)
        request.route = route
        return route

    def route_socket(self, request: Request) -> Route:
        """The route of a request for a web socket; one that refuses if there is none."""
        try:
            self._hosts.check(request)
            self._origins.check(request)
        except Problem as problem:
            return refusal(problem.status, problem.detail)
        found = self.sockets.match(request)
        return found if isinstance(found, Route) else _NOT_FOUND

    async def socket(self, request: Request, transport: SocketTransport) -> Response | None:
        """Lead the conversation that a request for a web socket asks for.

        Returns:
            What refuses it, to be sent as the answer to the plain request; None when there
            was a conversation, and it is over and closed.
        """
        refused = await converse(self, request, transport)
        if refused is not None:
            refused.headers = self._protection.apply(refused.headers)
        return refused

    def _as_get(self, request: Request) -> Route:
        # The server sends no body to HEAD, so the answer of GET is the answer.
        request.method = "GET"
        found = self.routes.match(request)
        request.method = "HEAD"
        assert isinstance(found, Route)  # GET was in the methods a moment ago
        return found

    def answer_now(self, request: Request) -> Response | None:
        """The same as `answer`, for a route that is in place and a body that is all here.

        None if it has to wait after all; then nothing has happened, and `answer` is awaited.
        """
        token = telemetry.current.set(request)
        try:
            response = request.route.now(request)
            if response is None:
                return None
        except Exception as exc:  # noqa: BLE001  # as in `answer`
            response = self.problem(exc, request)
        finally:
            telemetry.current.reset(token)
        return self._completed(request, response)

    async def answer(self, request: Request) -> Response:
        """The response to a request that has its route; errors are responses too."""
        token = telemetry.current.set(request)
        try:
            response = await request.route.answer(request)
        except Exception as exc:  # noqa: BLE001  # the one place where errors become answers
            response = self.problem(exc, request)
        except asyncio.CancelledError:
            self.finish(request, CLIENT_GONE)
            raise
        finally:
            telemetry.current.reset(token)
        return self._completed(request, response)

    def _completed(self, request: Request, response: Response) -> Response:
        if response.headers is not request.route.json_headers:
            response.headers = self._protection.apply(response.headers)
        if self._annotate is not None:
            self._annotate(request, response)
        # A mounted application decides for itself.
        if self._compression is not None and request.route.kind != "mount":
            body = response.body
            if type(body) is not bytes or len(body) >= MINIMUM_BYTES:
                self._compression.apply(request, response)
        request.status = response.status
        self._tell(request)
        return response

    def finish(self, request: Request, status: int) -> None:
        """Tell the sinks how a request ended."""
        request.status = status
        self._tell(request)

    def problem(self, error: Exception, request: Request) -> Response:
        """The answer to an error."""
        problem = as_problem(error, self._translations)
        if problem is None:
            telemetry.failed("http.error", error, route=request.route.title)
            detail = f"{type(error).__name__}: {error}" if self._debug else ""
            problem = Problem(500, detail, code="internal")
        try:
            response = self._renderer(problem, request)
        except Exception as exc:  # noqa: BLE001  # an application's renderer must not end the connection
            telemetry.failed("http.error", exc, route=request.route.title)
            response = render(problem, request)
        for name, value in problem.headers.items():
            response.set_header(name, value)
        return response


def _joined(sinks: tuple[Sink, ...]) -> Sink:
    """One function for all: a request is told of once, mostly to one listener."""
    if len(sinks) == 1:
        return sinks[0]

    def tell(request: Request) -> None:
        for sink in sinks:
            sink(request)

    return tell


def refusal(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Route:
    """A route that answers with a problem, for requests that reach no other."""

    async def answer(_request: Request) -> Response:
        raise Problem(status, detail, headers=headers)

    return immediate(answer)


def unmatched(method: str, allowed: frozenset[str]) -> Route:
    """What answers when no route does: 404, 405 with `Allow`, or OPTIONS itself.

    Source: RFC 9110, sections 9.3.7 and 15.5.6.
    """
    if not allowed:
        return _NOT_FOUND
    names = set(allowed) | ({"HEAD"} if "GET" in allowed else set()) | {"OPTIONS"}
    listed = ", ".join(sorted(names))
    if method == "OPTIONS":
        return _options(listed)
    return refusal(405, f"only {listed} here", {"allow": listed})


def _options(allow: str) -> Route:
    async def answer(_request: Request) -> Response:
        return Response(status=204, headers={"allow": allow})

    return immediate(answer)


# RFC 9110, section 9.3.7: OPTIONS on the server as a whole is a ping.
_SERVER_WIDE = _options("GET, HEAD, OPTIONS, PATCH, POST, PUT, DELETE")
_NO_PATH = refusal(400, "the request target is not a path")
_NOT_FOUND = refusal(404, "there is nothing at this address")
_UPGRADE = refusal(426, "this is a web socket", {"upgrade": "websocket"})
