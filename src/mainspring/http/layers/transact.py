"""One unit of work per request: opened on first use, committed before the first byte."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from mainspring.http._pipeline import Handler, Layer
    from mainspring.http._request import Request
    from mainspring.http._response import Response

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""RFC 9110, section 9.2.1: these promise not to write."""


class Unit(Protocol):
    """A unit of work, as far as a request ends it."""

    async def commit(self) -> None: ...
    async def rollback(self) -> None: ...


class Units(Protocol):
    """What opens units of work; `data.Database` is one."""

    def unit(self, *, write: bool) -> Any: ...
    async def another(self, unit: Any, error: Exception, *, attempt: int, of: int) -> Any: ...


def transact(units: Units, *, attempts: int = 1) -> Layer:
    """Give the request a unit of work; commit it if the rest succeeds, else roll it back.

    An answer of 400 and above that is returned and not raised commits too: the handler
    chose it knowing what it had written.

    When the database asks for it (a deadlock, a conflict, a statement prepared before a
    migration), the rest is done again from its beginning, at most `attempts` times in all. By
    then everything is rolled back and nothing is sent; a request whose body was streamed
    cannot be repeated.
    """

    def wrap(inner: Handler) -> Handler:
        async def handle(request: Request) -> Response:
            unit = request.unit = units.unit(write=request.method not in SAFE_METHODS)
            attempt = 1
            while True:
                try:
                    response = await inner(request)
                    await unit.commit()
                    return response
                except Exception as exc:
                    await unit.rollback()
                    of = attempts if request.repeatable else 1
                    unit = await units.another(unit, exc, attempt=attempt, of=of)
                    if unit is None:
                        raise
                except BaseException:
                    await unit.rollback()
                    raise
                request.unit = unit
                attempt += 1

        return handle

    return wrap
