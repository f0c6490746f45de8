"""Answers to pages of other origins: preflights before anything else, and headers on the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mainspring.http._pipeline import immediate
from mainspring.http._problem import Problem
from mainspring.http._response import Header, Response, header_pairs

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.http._request import Request
    from mainspring.http._routing import Route
    from mainspring.security import Cors

_KEPT: Final = 256


class CrossOrigin:
    """Applies the rules to requests and answers.

    Errors are annotated like every other answer: a page that may not read a 401 cannot tell
    its visitor to sign in.
    """

    def __init__(self, rules: Cors) -> None:
        self._rules = rules
        self._by_origin = {
            origin.encode(): header_pairs(rules.answer_headers(origin)) for origin in rules.origins
        }
        self._frozen: dict[tuple[tuple[Header, ...], bytes | None], tuple[Header, ...]] = {}

    @property
    def constant(self) -> tuple[Header, ...]:
        """What every answer says, when all origins are told the same."""
        return header_pairs(self._rules.answer_headers("*")) if self._rules.everyone else ()

    @property
    def vary(self) -> tuple[str, ...]:
        """What every answer depends on."""
        return () if self._rules.everyone else ("origin",)

    @property
    def annotation(self) -> Callable[[Request, Response], None] | None:
        """What is done to each answer; None if that is the same for all."""
        return None if self._rules.everyone else self._annotate

    def preflight(self, request: Request) -> Route | None:
        """What answers the question that a browser asks before the real request, or None."""
        headers = request.raw_headers
        origin = headers.get(b"origin")
        if origin is None or b"access-control-request-method" not in headers:
            return None
        allowed = header_pairs(self._rules.preflight_headers(origin.decode("latin-1")))
        return _preflight((*allowed, (b"vary", b"origin")) if allowed else ())

    def _annotate(self, request: Request, response: Response) -> None:
        """Say whether the page that asked may read the answer."""
        origin = request.raw_headers.get(b"origin")
        headers = response.headers
        if origin is None and headers is request.route.json_headers:
            return  # made with its `Vary`
        if origin not in self._by_origin:
            origin = None
        if not isinstance(headers, tuple):
            response.headers = [*self._annotated(tuple(headers), origin)]
            return
        made = self._frozen.get((headers, origin))
        if made is None:
            made = self._annotated(headers, origin)
            if len(self._frozen) < _KEPT:
                self._frozen[headers, origin] = made
        response.headers = made

    def _annotated(self, headers: tuple[Header, ...], origin: bytes | None) -> tuple[Header, ...]:
        said = () if origin is None else self._by_origin[origin]
        varies = b", ".join(value for name, value in headers if name == b"vary")
        if b"origin" not in varies.lower().replace(b" ", b"").split(b","):
            varies = varies + b", origin" if varies else b"origin"
            headers = tuple(pair for pair in headers if pair[0] != b"vary")
            headers = (*headers, (b"vary", varies))
        return (*headers, *said)


def _preflight(headers: tuple[Header, ...]) -> Route:
    async def answer(_request: Request) -> Response:
        if not headers:
            raise Problem(403, "pages of this origin may not call this", headers={"vary": "origin"})
        return Response(status=204, frozen_headers=headers)

    return immediate(answer)
