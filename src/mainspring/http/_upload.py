"""A file that came with a form: in memory while small, on disk above that."""

from __future__ import annotations

import asyncio
import os
import secrets
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from mainspring.errors import MainspringError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SPOOL_BYTES: Final = 256 * 1024
"""What of one file is held in memory; a larger one goes to a temporary file."""
_PIECE_BYTES: Final = 64 * 1024
_INERT_SUFFIXES: Final = frozenset({
    ".avif", ".bmp", ".csv", ".doc", ".docx", ".flac", ".gif", ".gz", ".heic", ".jpeg", ".jpg",
    ".json", ".md", ".mov", ".mp3", ".mp4", ".odp", ".ods", ".odt", ".ogg", ".opus", ".pdf",
    ".png", ".ppt", ".pptx", ".rtf", ".tar", ".tif", ".tiff", ".txt", ".wav", ".webm", ".webp",
    ".xls", ".xlsx", ".zip", ".zst",
})  # fmt: skip
"""Kept in a stored name, since no browser or server runs what ends like this."""


class UploadClosed(MainspringError):
    """The file was asked for after its request had ended."""

    code = "http.upload-closed"

    def __init__(self, field: str) -> None:
        super().__init__(
            f"the upload of field {field!r} is closed: its request has ended",
            fix="save or read it inside of the handler; give a task the saved path",
        )


class Upload:
    """One uploaded file. It lives until its handler has returned.

    Attributes:
        field: the form field that it came in.
        filename: what the client calls it. Data to show, never a path: see `stored_name`.
        stored_name: generated, safe on every file system and not to be guessed. The suffix
            of the client's name is kept if nothing would run a file that ends like it.
        content_type: what the client says it is, without parameters; nobody has checked it.
        size: in bytes.
    """

    __slots__ = (
        "_buffer", "_closed", "_file", "_lock", "content_type", "field", "filename", "size",
        "stored_name",
    )  # fmt: skip

    def __init__(self, field: str, filename: str, content_type: str) -> None:
        self.field = field
        self.filename = filename
        self.content_type = content_type
        self.stored_name = secrets.token_hex(16) + _kept_suffix(filename)
        self.size = 0
        self._buffer = bytearray()
        self._file: IO[bytes] | None = None
        self._closed = False
        # The file is used on threads, and closing must not overtake a write that a
        # cancelled request has left running.
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<Upload {self.field!r} {self.filename!r} {self.size} bytes>"

    async def read(self) -> bytes:
        """All of it. The route's body limit bounds how much that can be.

        Raises:
            UploadClosed: the request has ended.
        """
        if self._file is None:
            return bytes(self._open_buffer())
        return await asyncio.to_thread(self._read_at, 0, self.size)

    async def stream(self, *, piece_bytes: int = _PIECE_BYTES) -> AsyncIterator[bytes]:
        """Its bytes, piece by piece, from the beginning.

        Raises:
            UploadClosed: the request has ended.
        """
        at = 0
        while at < self.size:
            if self._file is None:
                piece = bytes(self._open_buffer()[at : at + piece_bytes])
            else:
                piece = await asyncio.to_thread(self._read_at, at, piece_bytes)
            at += len(piece)
            yield piece

    async def save(self, path: Path | str) -> Path:
        """Write it to `path`, or under its stored name if that is a folder.

        The file appears whole or not at all; one that is there is replaced.

        Returns:
            Where it is.

        Raises:
            UploadClosed: the request has ended.
            OSError: it could not be written.
        """
        return await asyncio.to_thread(self._save, Path(path))

    async def write(self, data: bytes) -> None:
        """Append what has arrived; for whoever receives the file."""
        self.size += len(data)
        self._buffer += data
        if len(self._buffer) > SPOOL_BYTES:
            await asyncio.to_thread(self._spool)

    async def complete(self) -> None:
        """All has arrived; for whoever receives the file."""
        if self._file is not None and self._buffer:
            await asyncio.to_thread(self._spool)

    def close(self) -> None:
        """Drop what is held. Never waits: a file is closed on a thread."""
        if self._file is None and not self._lock.locked():
            self._closed = True
            self._buffer = bytearray()
            return
        # Not awaited: a request that is being cancelled must not wait for a disk.
        _ = asyncio.get_running_loop().run_in_executor(None, self._close)

    def _open_buffer(self) -> bytearray:
        if self._closed:
            raise UploadClosed(self.field)
        return self._buffer

    def _spool(self) -> None:
        with self._lock:
            if self._closed:
                return
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="mainspring-")  # noqa: SIM115  # closed by `close`
            self._file.write(self._buffer)
            self._buffer = bytearray()

    def _read_at(self, at: int, count: int) -> bytes:
        with self._lock:
            if self._closed or self._file is None:
                raise UploadClosed(self.field)
            self._file.seek(at)
            return self._file.read(count)

    def _close(self) -> None:
        with self._lock:
            self._closed = True
            self._buffer = bytearray()
            if self._file is not None:
                self._file.close()

    def _save(self, path: Path) -> Path:
        target = path / self.stored_name if path.is_dir() else path
        part = target.with_name(f".{secrets.token_hex(8)}.part")
        try:
            with part.open("xb") as out:
                self._copy(out)
            os.replace(part, target)  # noqa: PTH105  # the same call, and it says what it does
        except BaseException:
            with suppress(OSError):
                part.unlink()
            raise
        return target

    def _copy(self, out: IO[bytes]) -> None:
        if self._file is None:
            out.write(self._open_buffer())
            return
        for at in range(0, self.size, SPOOL_BYTES):
            out.write(self._read_at(at, SPOOL_BYTES))


def _kept_suffix(filename: str) -> str:
    suffix = os.path.splitext(filename)[1].lower()  # noqa: PTH122  # it is not a path of ours
    return suffix if suffix in _INERT_SUFFIXES else ""
