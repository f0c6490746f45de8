"""Pages from templates: what a handler returns, and how it becomes an answer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, get_args

from mainspring.http._response import Response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from mainspring.http._pipeline import Handler
    from mainspring.http._request import Request


@dataclass(frozen=True, slots=True)
class Template:
    """A page: a template of `app.templates`, and the values for it.

    Attributes:
        name: the template's path below its folder, as `notes/list.html`.
        context: what it may use, beside `request`, `path_for` and `static_url`.
        status: the HTTP status.
        headers: names and values.
        media_type: value of `Content-Type`.
    """

    name: str
    context: Mapping[str, Any] = field(default_factory=dict)
    status: int = field(default=200, kw_only=True)
    headers: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    media_type: str = field(default="text/html; charset=utf-8", kw_only=True)


class Pages(Protocol):
    """What renders templates; `Templates` does, with Jinja.

    Attributes:
        reload: templates may change, so that rendering reads files.
    """

    @property
    def reload(self) -> bool: ...
    def render(self, name: str, context: Mapping[str, Any], *, request: Request) -> str: ...


def may_be_template(returns: Any) -> bool:
    """Whether a handler with such an annotation may return one; without one it may."""
    return returns is Any or returns is Template or Template in get_args(returns)


def rendered(
    call: Callable[[Request], Awaitable[Any]],
    encode: Callable[[Request, Any], Response],
    pages: Pages,
) -> Handler:
    """A handler whose templates are rendered, and whose other results are encoded."""

    async def handle(request: Request) -> Response:
        result = await call(request)
        if type(result) is not Template:
            return encode(request, result)
        if pages.reload:
            # The files are looked at again, which may take as long as the disk does.
            text = await asyncio.to_thread(_render, pages, result, request)
        else:
            text = _render(pages, result, request)
        return Response(
            text, status=result.status, headers=result.headers, media_type=result.media_type
        )

    return handle


def _render(pages: Pages, template: Template, request: Request) -> str:
    return pages.render(template.name, template.context, request=request)
