"""An application asked without a server in between: what a request looks like to the core."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.app import App
from mainspring.http import Request, WholeBody
from mainspring.settings import Settings

if TYPE_CHECKING:
    from mainspring.http import Response


def application(**settings: Any) -> App:
    return App("test", settings=Settings(**{"log_level": "critical", **settings}))


async def ask(
    app: App,
    method: str,
    target: str,
    *,
    body: bytes | object = b"",
    kind: str = "application/json",
    **headers: str,
) -> Response:
    """The answer to one request, as a server gets it; a body that is not bytes is sent as JSON."""
    path, _, query = target.partition("?")
    data = body if isinstance(body, bytes) else msgspec.json.encode(body)
    sent = {b"host": b"localhost"}
    if data:
        sent[b"content-type"] = kind.encode()
    sent |= {name.replace("_", "-").encode(): v.encode("latin-1") for name, v in headers.items()}
    request = Request(method, path, query_string=query.encode(), headers=sent, body=WholeBody(data))
    if app.core.route(request).in_place:
        response = app.core.answer_now(request)
        if response is not None:
            return response
    return await app.core.answer(request)


def value(response: Response) -> Any:
    assert isinstance(response.body, bytes)
    return msgspec.json.decode(response.body)


def errors(response: Response) -> list[tuple[str, str]]:
    """Place and text of every violation."""
    return [(e.get("pointer") or e["parameter"], e["detail"]) for e in value(response)["errors"]]
