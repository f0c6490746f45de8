"""Requests that wait for something: what their tasks do."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from mainspring.serve._reply import respond, stream
from mainspring.serve._state import BUSY

if TYPE_CHECKING:
    from mainspring.http._request import Request
    from mainspring.http._response import Response
    from mainspring.serve._protocol import Connection

_PLAIN: Final = b"%b%b%d\r\n\r\n%b"


async def serve(connection: Connection, request: Request) -> None:
    """Answer a request whose route may wait."""
    try:
        response = await connection.worker.core.answer(request)
        content = response.body
        if type(content) is not bytes:
            await stream(connection, request, response)
        elif connection.state is BUSY and connection.plain and connection.knows(response):
            head, dated = connection.known_head, connection.worker.dated
            connection.write(_PLAIN % (head, dated, len(content), content))
        elif not connection.lost:
            respond(connection, request, response)
    except asyncio.CancelledError:
        _given_up(connection)
        raise
    finally:
        connection.done()


async def serve_stream(connection: Connection, request: Request, response: Response) -> None:
    """Write the answer of a route that never waits, but streams."""
    try:
        await stream(connection, request, response)
    except asyncio.CancelledError:
        _given_up(connection)
        raise
    finally:
        connection.done()


def _given_up(connection: Connection) -> None:
    # Cancelled by a stop that could wait no longer, or by the handler itself.
    if not connection.lost:
        connection.transport.abort()
