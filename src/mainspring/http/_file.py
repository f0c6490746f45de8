"""A file as the result of a handler."""

from __future__ import annotations

import asyncio
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING, Any, Union, get_args

from mainspring.http._conditional import Validators
from mainspring.http._content import Content, answer
from mainspring.http._media_types import media_type_of
from mainspring.http._problem import NotFound
from mainspring.http._response import header_pairs
from mainspring.security import content_disposition

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mainspring.http._request import Request
    from mainspring.http._response import Response


class File:
    """A download: `return File(path, name="report.pdf")` from a handler annotated `-> File`.

    Conditional requests and parts of the file are answered; it is read on threads. Browsers
    save it, and what they show of an `inline` one cannot run scripts as a page of this site.

    Args:
        path: where it is. 404 if there is no such file.
        name: what it is saved as; its own name by default. Any text is safe here.
        within: the folder that it has to be in, links followed; anything else is 404. Say it
            whenever a part of the path comes from a request.
        media_type: by the name by default.
        inline: let the browser show it.
        headers: more of them, or others than the default ones.
    """

    __slots__ = ("_headers", "_path", "_within")

    def __init__(
        self,
        path: Path | str,
        *,
        name: str | None = None,
        within: Path | str | None = None,
        media_type: str | None = None,
        inline: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._path = Path(path)
        self._within = None if within is None else Path(within)
        shown = self._path.name if name is None else name
        self._headers = {
            "content-type": media_type or media_type_of(shown),
            "content-disposition": content_disposition(
                shown, kind="inline" if inline else "attachment"
            ),
            "cache-control": "private, no-cache",
            "accept-ranges": "bytes",
            # What a user uploaded must not become a page of this site.
            **({"content-security-policy": "sandbox; default-src 'none'"} if inline else {}),
            **{key.lower(): value for key, value in (headers or {}).items()},
        }

    async def response(self, request: Request) -> Response:
        """The answer.

        Raises:
            NotFound: there is no such file, or it is not within its folder.
        """
        return answer(request, await asyncio.to_thread(self._content))

    def _content(self) -> Content:
        try:
            path = self._path.resolve(strict=True)
            found = path.stat()
        except (OSError, ValueError):
            raise NotFound("there is no such file") from None
        outside = self._within is not None and not path.is_relative_to(self._within.resolve())
        if outside or not S_ISREG(found.st_mode):
            raise NotFound("there is no such file")
        validators = Validators(f'"{found.st_mtime_ns:x}-{found.st_size:x}"', int(found.st_mtime))
        known = {"etag": validators.etag, "last-modified": validators.last_modified}
        return Content(
            validators,
            self._headers["content-type"],
            found.st_size,
            header_pairs((known | self._headers).items()),
            path=path,
            stamp=(found.st_mtime_ns, found.st_size),
        )


def gives_files(returns: Any) -> bool:
    """Whether a return annotation says `File`, alone or among others."""
    return returns is File or File in get_args(returns)


def without_files(returns: Any) -> Any:
    """The return annotation of what is not a file; `Any` if that is nothing."""
    if not gives_files(returns):
        return returns
    rest = tuple(part for part in get_args(returns) if part is not File)
    return Union[rest] if rest else Any  # noqa: UP007  # of parts that are known at run time
