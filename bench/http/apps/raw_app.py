"""The same work without a framework: ASGI by hand, msgspec, and an `if` for each route.

What a program for these three routes would do and no more: one error at a time, no request id,
policy, deadline, log line or protective header.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

import msgspec

from bench.http.apps.orders import Greeting, NewOrder, Order, found

_decode_order = msgspec.json.Decoder(NewOrder).decode
_encode = msgspec.json.Encoder().encode


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    try:
        status, content = await _answer(scope["method"], scope["path"], scope, receive)
        body = _encode(content)
    except (ValueError, KeyError) as exc:  # what msgspec raises for wrong input is a ValueError
        status, body = 422, _encode({"detail": str(exc)})
    length = str(len(body)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", length)]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _answer(method: str, path: str, scope: Any, receive: Any) -> tuple[int, Any]:
    if method == "GET" and path == "/json":
        return 200, Greeting("Hello, World!")
    if method == "POST" and path == "/orders":
        return 201, Order.of(_decode_order(await _read(receive)))
    if method == "GET" and path.startswith("/items/"):
        query = dict(parse_qsl(scope["query_string"].decode()))
        limit, q = int(query.get("limit", 10)), query["q"]
        if not 1 <= limit <= 100:
            raise ValueError("limit is out of range")
        if not 1 <= len(q) <= 50:
            raise ValueError("q is too long")
        return 200, found(int(path[7:]), limit=limit, q=q)
    return 404, {"detail": "there is nothing here"}


async def _read(receive: Any) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body
