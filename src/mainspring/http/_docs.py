"""The API description as a document and as a page that needs nothing from elsewhere."""

from __future__ import annotations

import asyncio
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from mainspring.auth import anyone, role, signed_in
from mainspring.http._problem import NotFound
from mainspring.http._request import Request  # noqa: TC001  # handlers are bound by it
from mainspring.http._response import Response
from mainspring.http._router import Router

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mainspring.auth import Policy
    from mainspring.http._routing import Route
    from mainspring.settings import Settings

_FILES: Final = {
    "docs.css": "text/css; charset=utf-8",
    "docs.js": "text/javascript; charset=utf-8",
    "schema.js": "text/javascript; charset=utf-8",
    "try.js": "text/javascript; charset=utf-8",
}
_SECURITY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:;"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def docs_policy(settings: Settings) -> Policy | None:
    """Who may read the description, as the setting `docs` has it; None for nobody."""
    match settings.docs:
        case "":
            return anyone if settings.debug else None
        case "off":
            return None
        case "anyone":
            return anyone
        case "signed_in":
            return signed_in
        case name:
            return role(name)


def docs_routes(
    describe: Callable[[], dict[str, Any]], *, policy: Policy | None, taken: Iterable[Route]
) -> list[Route]:
    """`/openapi.json`, `/docs` and its files; an application's own routes there come first.

    Args:
        describe: gives the document; called once, when somebody asks for it.
        policy: who may read them.
        taken: the application's routes.
    """
    if policy is None:
        return []
    router = Router(allow=policy)
    document = cache(describe)

    @router.get("/openapi.json", hidden=True)
    async def openapi_document(request: Request) -> Response:
        # The first time it loads and works through the code of the whole application.
        found = await asyncio.to_thread(document)
        if request.root_path:
            found = {**found, "servers": [{"url": request.root_path}]}
        return _cached(request, msgspec.json.encode(found), "application/json")

    @router.get("/docs", hidden=True)
    async def docs_page(request: Request) -> Response:
        page = await asyncio.to_thread(_file, "docs.html")
        response = _cached(request, page, "text/html; charset=utf-8")
        response.set_header("content-security-policy", _SECURITY)
        return response

    @router.get("/docs/{name}", hidden=True)
    async def docs_file(request: Request, name: str) -> Response:
        if name not in _FILES:
            raise NotFound
        return _cached(request, await asyncio.to_thread(_file, name), _FILES[name])

    known = {route.pattern for route in taken}
    return [route for route in router.routes if route.pattern not in known]


@cache
def _file(name: str) -> bytes:
    return (Path(__file__).parent / "_docs_page" / name).read_bytes()


def _cached(request: Request, data: bytes, media_type: str) -> Response:
    """The data, or 304 for who has it already (RFC 9110, section 13.1.2)."""
    tag = f'"{blake2b(data, digest_size=12).hexdigest()}"'
    headers = {"etag": tag, "cache-control": "no-cache"}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status=304, headers=headers)
    return Response(data, headers=headers, media_type=media_type)
