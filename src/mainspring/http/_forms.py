"""HTML forms: urlencoded and multipart, into a struct."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainspring.http._signature import unwrap

if TYPE_CHECKING:
    from mainspring.http._request import Request
    from mainspring.http._signature import Parameter


class FormBody:
    """Reads a form into a struct."""

    media_types = ("application/x-www-form-urlencoded", "multipart/form-data")

    def __init__(self, parameter: Parameter) -> None:
        self.kind = unwrap(parameter.kind)[0]

    def decode(self, request: Request, data: bytes) -> Any:
        raise NotImplementedError

    async def read(self, request: Request) -> Any:
        raise NotImplementedError
