"""Falcon on ASGI, with the preconstructed msgspec coders that its msgspec recipe advises."""

from __future__ import annotations

from typing import Any

import falcon
import falcon.asgi
import falcon.media
import msgspec

from bench.http.apps.orders import Greeting, NewOrder, Order, found

_decode_order = msgspec.json.Decoder(NewOrder).decode


class Json:
    async def on_get(self, _req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        resp.media = Greeting("Hello, World!")


class Orders:
    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        resp.media = Order.of(_decode_order(await req.stream.read()))
        resp.status = falcon.HTTP_201


class Items:
    async def on_get(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, item_id: int
    ) -> None:
        limit = req.get_param_as_int("limit", min_value=1, max_value=100, default=10)
        q = req.get_param("q", required=True)
        if len(q) > 50:
            raise falcon.HTTPInvalidParam("at most 50 characters", "q")
        resp.media = found(item_id, limit=limit, q=q)


async def _refuse(_req: Any, _resp: Any, error: Exception, _params: Any) -> None:
    raise falcon.HTTPUnprocessableEntity(description=str(error))


app = falcon.asgi.App()
_json = falcon.media.JSONHandler(
    dumps=msgspec.json.Encoder().encode, loads=msgspec.json.Decoder().decode
)
app.req_options.media_handlers[falcon.MEDIA_JSON] = _json
app.resp_options.media_handlers[falcon.MEDIA_JSON] = _json
app.add_error_handler(msgspec.DecodeError, _refuse)
app.add_route("/json", Json())
app.add_route("/orders", Orders())
app.add_route("/items/{item_id:int(min=1)}", Items())
