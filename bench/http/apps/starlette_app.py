"""Starlette with a JSON response of one fast encoder, as its page on custom responses shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from bench.http.apps.orders import Greeting, NewOrder, Order, found

if TYPE_CHECKING:
    from starlette.requests import Request

_encode = msgspec.json.Encoder().encode
_decode_order = msgspec.json.Decoder(NewOrder).decode


class Query(msgspec.Struct):
    q: Annotated[str, msgspec.Meta(min_length=1, max_length=50)]
    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 10


class FastJSON(Response):
    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return _encode(content)


async def greet(_request: Request) -> Response:
    return FastJSON(Greeting("Hello, World!"))


async def order(request: Request) -> Response:
    return FastJSON(Order.of(_decode_order(await request.body())), status_code=201)


async def items(request: Request) -> Response:
    query = msgspec.convert(dict(request.query_params), Query, strict=False)
    item_id: int = request.path_params["item_id"]
    return FastJSON(found(item_id, limit=query.limit, q=query.q))


async def refuse(_request: Request, error: Exception) -> Response:
    return FastJSON({"detail": str(error)}, status_code=422)


app = Starlette(
    routes=[
        Route("/json", greet),
        Route("/orders", order, methods=["POST"]),
        Route("/items/{item_id:int}", items),
    ],
    exception_handlers={msgspec.DecodeError: refuse},
)
