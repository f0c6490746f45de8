"""Answers onto the wire.

Source: RFC 9112, sections 6, 7.1 and 9.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING, Any, Final

from mainspring import telemetry
from mainspring.errors import MainspringError
from mainspring.serve._heads import BadResponse
from mainspring.serve._refusal import Refusal

if TYPE_CHECKING:
    from mainspring.http._request import Request
    from mainspring.http._response import Response
    from mainspring.serve._heads import ResponseHead
    from mainspring.serve._protocol import Connection

_RESET: Final = struct.pack("ii", 1, 0)


def respond(connection: Connection, request: Request, response: Response) -> None:
    """Write a response whose body is all there, and go on with the connection."""
    worker = connection.worker
    try:
        head = worker.heads.of(response.status, response.headers)
        body: Any = response.body
        if connection.plain and head.plain and not worker.draining:
            if worker.requests_left is inf:
                connection.know(response, head.data)
            connection.write(b"%b%b%d\r\n\r\n%b" % (head.data, worker.dated, len(body), body))
        else:
            _respond_uncommonly(connection, head, body)
    except MainspringError as exc:
        _unsendable(connection, request, exc)
    worker.requests_left -= 1
    if worker.requests_left <= 0:
        worker.retire()


def _respond_uncommonly(connection: Connection, head: ResponseHead, body: bytes) -> None:
    silent = head.bodiless or connection.bodiless
    if head.length not in {None, len(body)} and not silent:
        raise BadResponse(
            f"the response has {len(body)} bytes and Content-Length {head.length}",
            fix="leave Content-Length out",
        )
    keep = _keeps(connection, head)
    lines = _lines(connection, head, keep=keep)
    if not head.bodiless:
        length = len(body) if head.length is None else head.length
        lines.append(b"content-length: %d\r\n" % length)
    lines.append(b"\r\n")
    if not silent:
        lines.append(body)
    connection.write(b"".join(lines))
    _go_on(connection, keep=keep)


def _lines(connection: Connection, head: ResponseHead, *, keep: bool) -> list[bytes]:
    lines = [head.data]
    if not head.dated:
        lines.append(connection.worker.dated.partition(b"\r\n")[0] + b"\r\n")
    if not keep:
        lines.append(b"connection: close\r\n")
    elif connection.old:
        lines.append(b"connection: keep-alive\r\n")
    return lines


def _keeps(connection: Connection, head: ResponseHead) -> bool:
    """Whether another request may follow."""
    if head.close or connection.worker.draining:
        return False
    upload = connection.upload
    return connection.keep and (upload is None or upload.can_be_dropped())


def _go_on(connection: Connection, *, keep: bool) -> None:
    if keep:
        if connection.upload is not None:
            connection.upload.body.drop()
    else:
        connection.leave()


def _unsendable(connection: Connection, request: Request, error: Exception) -> None:
    telemetry.failed("serve.bad-response", error, route=request.route.title)
    connection.refuse(Refusal(500, "the application made a response that cannot be sent"))


async def stream(connection: Connection, request: Request, response: Response) -> None:
    """Write a response piece by piece, as fast as the client takes it.

    Its iterator is closed in any case, and that is waited for.
    """
    telemetry.current.set(request)
    body: Any = response.body
    try:
        if connection.lost:
            return
        try:
            head = connection.worker.heads.of(response.status, response.headers)
        except MainspringError as exc:
            _unsendable(connection, request, exc)
            return
        await _stream(connection, request, head, body)
    finally:
        close = getattr(body, "aclose", None)
        if close is not None:
            await close()
        connection.worker.requests_left -= 1


async def _stream(connection: Connection, request: Request, head: ResponseHead, body: Any) -> None:
    keep = _keeps(connection, head)
    silent = head.bodiless or connection.bodiless
    old = connection.old
    keep = keep and (silent or head.length is not None or not old)
    chunked = head.length is None and not silent and not old
    lines = _lines(connection, head, keep=keep)
    if chunked:
        lines.append(b"transfer-encoding: chunked\r\n")
    elif head.length is not None and not head.bodiless:
        lines.append(b"content-length: %d\r\n" % head.length)
    lines.append(b"\r\n")
    connection.write(b"".join(lines))
    if not silent:
        connection.endless = head.endless
        try:
            await _parts(connection, head, body, chunked=chunked)
        except asyncio.CancelledError:
            if not _ends_cleanly(connection):
                raise
            keep = False
        except Exception as exc:  # noqa: BLE001  # the head is out: all that is left is to cut
            telemetry.failed("serve.stream", exc, route=request.route.title)
            cut(connection, reset=old and head.length is None)
            return
        finally:
            connection.endless = connection.ending = False
        if chunked:
            connection.write(b"0\r\n\r\n")
    _go_on(connection, keep=keep)


async def _parts(connection: Connection, head: ResponseHead, body: Any, *, chunked: bool) -> None:
    left = head.length
    write = connection.write
    async for part in body:
        if not part:
            continue
        if chunked:
            write(b"%x\r\n%b\r\n" % (len(part), part))
        else:
            if left is not None:
                left -= len(part)
                if left < 0:
                    raise BadResponse(
                        f"the stream has more than Content-Length {head.length}",
                        fix="leave Content-Length out",
                    )
            write(part)
        if connection.flow.writes_wait:
            await connection.flow.writable()
    if left:
        raise BadResponse(
            f"the stream ended {left} bytes short of Content-Length {head.length}",
            fix="leave Content-Length out",
        )


def _ends_cleanly(connection: Connection) -> bool:
    """Whether a cancellation was only the wish that an endless stream end."""
    if not connection.ending or connection.lost:
        return False
    task = asyncio.current_task()
    return task is not None and task.uncancel() == 0


def cut(connection: Connection, *, reset: bool) -> None:
    """End the connection so that the client sees that the response is not complete.

    Args:
        connection: what to cut.
        reset: the end of the connection is the end of the response (HTTP/1.0), so that only
            a reset tells one from the other.
    """
    connection.abandon()
    if reset:
        raw = connection.transport.get_extra_info("socket")
        with suppress(OSError, AttributeError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        connection.transport.abort()
    else:
        connection.transport.close()
