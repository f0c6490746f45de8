"""Emmett55 on Granian's RSGI, its own server and interface: bytes out, no static files."""

from __future__ import annotations

from typing import Annotated

import msgspec
from emmett55 import App, abort, request, response

from bench.http.apps.orders import Greeting, NewOrder, Order, found

_encode = msgspec.json.Encoder().encode
_decode_order = msgspec.json.Decoder(NewOrder).decode
_JSON = "application/json"


class Query(msgspec.Struct):
    q: Annotated[str, msgspec.Meta(min_length=1, max_length=50)]
    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 10


app = App(__name__)
app.config.handle_static = False


@app.route("/json", methods=["get"], output="bytes")
async def greet() -> bytes:
    response.content_type = _JSON
    return _encode(Greeting("Hello, World!"))


@app.route("/orders", methods=["post"], output="bytes")
async def order() -> bytes:
    response.content_type = _JSON
    try:
        new = _decode_order(await request.body)
    except msgspec.DecodeError as error:
        abort(422, str(error))
    response.status = 201
    return _encode(Order.of(new))


@app.route("/items/<int:item_id>", methods=["get"], output="bytes")
async def items(item_id: int) -> bytes:
    response.content_type = _JSON
    try:
        query = msgspec.convert(dict(request.query_params), Query, strict=False)
    except msgspec.ValidationError as error:
        abort(422, str(error))
    return _encode(found(item_id, limit=query.limit, q=query.q))
