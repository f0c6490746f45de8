"""Static files: found at start, named after their content, small ones held in memory.

A path of a request is only ever looked up among the names that were found, so no path of a
request reaches the file system.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from mainspring.errors import ConfigError, suggestion
from mainspring.http._compression import chosen
from mainspring.http._conditional import Validators
from mainspring.http._content import Content, answer
from mainspring.http._media_types import media_type_of
from mainspring.http._problem import NotFound

# An endpoint's types are read at start.
from mainspring.http._request import Request  # noqa: TC001
from mainspring.http._response import Response, header_pairs
from mainspring.http.layers.compression import MINIMUM_BYTES, compressible_type

if TYPE_CHECKING:
    from collections.abc import Iterator

HELD_BYTES: Final = 64 * 1024
"""Files up to this size are held in memory."""
_ALL_HELD_BYTES: Final = 64 * 1024 * 1024
_HASH_CHARACTERS: Final = 12
_READ_BYTES: Final = 1024 * 1024
_FOREVER: Final = "public, max-age=31536000, immutable"
_REVALIDATE: Final = "no-cache"
_SIBLINGS: Final = {"br": ".br", "zstd": ".zst", "gzip": ".gz"}
# Made once per file and process, so it may cost more than for an answer: 2 ms at the most.
_GZIP_LEVEL: Final = 6


class StaticError(ConfigError):
    """A folder of static files cannot be served, or has no such file."""

    code = "http.static"


@dataclass(frozen=True, slots=True)
class _Found:
    """A file as it was when it was looked at.

    Attributes:
        name: below the folder, with slashes.
        stamp: modification time in nanoseconds, and size.
        digest: the first characters of its content's hash, in hex.
        held: its bytes, if it is small.
    """

    name: str
    path: Path
    stamp: tuple[int, int]
    digest: str
    held: bytes | None

    @property
    def hashed_name(self) -> str:
        folder, slash, file = self.name.rpartition("/")
        stem, dot, suffix = file.partition(".")
        return f"{folder}{slash}{stem}.{self.digest}{dot}{suffix}"


class StaticFiles:
    """The files of one folder, under one prefix.

    Files and folders that begin with a dot are not served, nor what a link leads to outside
    of the folder.

    Args:
        folder: where they are.
        held_bytes: at most so much of them is held in memory.
    """

    def __init__(self, folder: Path | str, *, held_bytes: int = _ALL_HELD_BYTES) -> None:
        self._folder = Path(folder)
        self._held_bytes = held_bytes
        self._prefix = ""
        self._found: dict[str, _Found] = {}
        self._served: dict[str, _Served] = {}

    def scan(self, prefix: str) -> None:
        """Look at every file; done at start.

        Args:
            prefix: what their addresses begin with.

        Raises:
            StaticError: there is no such folder.
        """
        if not self._folder.is_dir():
            raise StaticError(
                f"{self._folder} is not a folder, so its files cannot be served",
                fix="create it, or give the path from the folder in which the server starts",
            )
        self._prefix = prefix.rstrip("/")
        self._look_again()

    def _look_again(self) -> None:
        left = self._held_bytes
        found: dict[str, _Found] = {}
        for name, path in sorted(_files(self._folder.resolve())):
            stat = path.stat()
            stamp = (stat.st_mtime_ns, stat.st_size)
            file = self._found.get(name)
            if file is None or file.stamp != stamp:
                file = _look(name, path, stamp, hold=stat.st_size <= min(HELD_BYTES, left))
            left -= len(file.held or b"")
            found[name] = file
        if found != self._found or not self._served:
            # One assignment: a request sees the folder before or after, never in between.
            self._found, self._served = found, _served(found)

    def url(self, name: str) -> str:
        """The address of a file that changes with its content, so that it is cached for ever.

        Raises:
            StaticError: there is no such file.
        """
        file = self._found.get(name)
        if file is None:
            raise StaticError(
                f"there is no static file {name!r} in {self._folder}",
                fix=suggestion(name, list(self._found)) or "look at the names in the folder",
            )
        return f"{self._prefix}/{quote(file.hashed_name)}"

    def has(self, name: str) -> bool:
        """Whether there is a file of this name, which is its path below the folder."""
        return name in self._found

    async def answer(self, path: str, request: Request) -> Response:
        """What a request for a file gets."""
        served = self._served.get(path)
        if served is None:
            raise NotFound("there is no such file")
        return answer(request, served.content(request))

    async def answer_fresh(self, path: str, request: Request) -> Response:
        """The same after another look at the folder, for development."""
        await asyncio.to_thread(self._look_again)
        return await self.answer(path, request)


def _served(found: dict[str, _Found]) -> dict[str, _Served]:
    served: dict[str, _Served] = {}
    for name, file in found.items():
        siblings: dict[str, _Found] = {}
        for coding, suffix in _SIBLINGS.items():
            sibling = found.get(name + suffix)
            # One that is older than the file was made from another state of it.
            if sibling is not None and sibling.stamp[0] >= file.stamp[0]:
                siblings[coding] = sibling
        served[file.hashed_name] = _Served(file, siblings, cache_control=_FOREVER)
        served[name] = _Served(file, siblings, cache_control=_REVALIDATE)
    return served


class _Served:
    """The forms of one file under one name; a compressed one is made when it is first asked for."""

    __slots__ = ("_cache_control", "_codings", "_contents", "_file", "_plain", "_siblings")

    def __init__(self, file: _Found, siblings: dict[str, _Found], *, cache_control: str) -> None:
        self._file = file
        self._siblings = siblings
        self._cache_control = cache_control
        shrinks = compressible_type(media_type_of(file.name).encode())
        by_itself = shrinks and len(file.held or b"") >= MINIMUM_BYTES
        self._codings = tuple(
            coding for coding in _SIBLINGS
            if coding in siblings or (coding == "gzip" and by_itself)
        )  # fmt: skip
        self._plain = self._content("", file.path, file.stamp, file.held)
        self._contents: dict[str, Content] = {}

    def content(self, request: Request) -> Content:
        """The form that the client likes best; of which only the plain one is given in parts."""
        if not self._codings or b"range" in request.raw_headers:
            return self._plain
        accept = request.raw_headers.get(b"accept-encoding")
        coding = None if accept is None else chosen(accept, self._codings)
        if coding is None:
            return self._plain
        made = self._contents.get(coding)
        if made is None:
            made = self._contents[coding] = self._coded(coding)
        return made

    def _coded(self, coding: str) -> Content:
        sibling = self._siblings.get(coding)
        if sibling is not None:
            return self._content(coding, sibling.path, sibling.stamp, sibling.held)
        held = zlib.compress(self._file.held or b"", _GZIP_LEVEL, zlib.MAX_WBITS | 16)
        return self._content(coding, self._file.path, self._file.stamp, held)

    def _content(
        self, coding: str, path: Path, stamp: tuple[int, int], held: bytes | None
    ) -> Content:
        media_type = media_type_of(self._file.name)
        mark = f"-{coding}" if coding else ""
        validators = Validators(f'"{self._file.digest}{mark}"', self._file.stamp[0] // 10**9)
        headers = {
            "content-type": media_type,
            "cache-control": self._cache_control,
            "etag": validators.etag,
            "last-modified": validators.last_modified,
        }
        if self._codings:
            headers["vary"] = "accept-encoding"
        headers |= {"content-encoding": coding} if coding else {"accept-ranges": "bytes"}
        size = stamp[1] if held is None else len(held)
        constant = header_pairs(headers.items())
        return Content(validators, media_type, size, constant, held=held, path=path, stamp=stamp)


def _files(root: Path) -> Iterator[tuple[str, Path]]:
    """Name and path of every file below a folder that may be served."""
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(folder, name)
            if _may_be_served(path, root):
                yield path.relative_to(root).as_posix(), path


def _may_be_served(path: Path, root: Path) -> bool:
    try:
        real = path.resolve(strict=True)
        inside = real.relative_to(root)
    except (OSError, ValueError):
        return False
    hidden = any(part.startswith(".") for part in (path.name, *inside.parts))
    return real.is_file() and not hidden


def _look(name: str, path: Path, stamp: tuple[int, int], *, hold: bool) -> _Found:
    digest = hashlib.blake2b(digest_size=_HASH_CHARACTERS // 2)
    held: list[bytes] = []
    with path.open("rb") as file:
        while piece := file.read(_READ_BYTES):
            digest.update(piece)
            if hold:
                held.append(piece)
    return _Found(name, path, stamp, digest.hexdigest(), b"".join(held) if hold else None)
