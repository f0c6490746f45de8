"""`multipart/form-data` as it arrives: values in memory, files spooled, everything bounded.

Source: RFC 7578; the grammar is read by the sans-io parser of the package `multipart`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from multipart import (  # type: ignore[import-untyped]  # it ships no types
    MultipartError,
    MultipartSegment,
    ParserLimitReached,
    PushMultipartParser,
    parse_options_header,
)

from mainspring.http._problem import BadRequest, Problem
from mainspring.http._upload import Upload

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mainspring.http._markers import Form

NAME_BYTES: Final = 256
"""The longest name of a field."""
_HEADER_BYTES: Final = 2048
_HEADERS: Final = 8
_BOUNDARY_BYTES: Final = 70
"""RFC 2046, section 5.1.1."""
_CONTENT_TYPE_BYTES: Final = 512


class FormTooLarge(Problem):
    """413: the form goes beyond one of its limits."""

    def __init__(self, detail: str) -> None:
        super().__init__(413, detail, code="form.too-large")


def boundary_of(content_type: str) -> str:
    """The boundary that a `Content-Type` names.

    Raises:
        BadRequest: there is none, or it is longer than the 70 characters of RFC 2046.
    """
    if len(content_type) > _CONTENT_TYPE_BYTES:
        raise BadRequest("the Content-Type is too long")
    boundary: str = parse_options_header(content_type)[1].get("boundary", "")
    if not boundary or len(boundary) > _BOUNDARY_BYTES or not boundary.isascii():
        raise BadRequest("the form has no usable boundary")
    return boundary


class Receiver:
    """Takes the parts of one form.

    Attributes:
        values: name to the texts that came under it, in order.
        uploads: name to the files. The list is there before the first byte of a file is, so
            that whoever cleans up sees every one.

    Args:
        limits: the bounds of the form.
        file_names: fields that are files, whatever their part says.
        uploads: where files are put as soon as they begin.
    """

    def __init__(self, limits: Form, *, file_names: frozenset[str], uploads: list[Upload]) -> None:
        self.values: dict[str, list[str]] = {}
        self.uploads: dict[str, list[Upload]] = {}
        self._limits = limits
        self._file_names = file_names
        self._all = uploads
        self._fields = 0
        self._name = ""
        self._text: bytearray | None = None
        self._upload: Upload | None = None

    async def receive(self, parts: AsyncIterator[bytes], boundary: str) -> None:
        """Read the whole body.

        Raises:
            BadRequest: it is not a form.
            FormTooLarge: it goes beyond a limit.
        """
        parser = PushMultipartParser(
            boundary,
            max_header_size=_HEADER_BYTES,
            max_header_count=_HEADERS,
            max_segment_count=self._limits.fields + self._limits.files,
        )
        try:
            async for data in parts:
                for event in parser.parse(data):
                    await self._take(event)
            parser.close()
        except ParserLimitReached as exc:
            raise FormTooLarge(_sentence(exc)) from None
        except MultipartError as exc:
            raise BadRequest(f"the form cannot be read: {_sentence(exc)}") from None

    async def _take(self, event: MultipartSegment | bytes | None) -> None:
        if isinstance(event, MultipartSegment):
            self._begin(event)
        elif event is None:
            await self._end()
        elif self._upload is not None:
            await self._to_file(self._upload, event)
        else:
            self._to_text(event)

    def _begin(self, segment: MultipartSegment) -> None:
        self._name = segment.name or ""
        if len(self._name.encode()) > NAME_BYTES:
            raise FormTooLarge(f"the name of a field is longer than {NAME_BYTES} bytes")
        if segment.filename is None and self._name not in self._file_names:
            self._begin_text()
        else:
            self._begin_file(segment)

    def _begin_text(self) -> None:
        self._fields += 1
        if self._fields > self._limits.fields:
            raise FormTooLarge(f"the form has more than {self._limits.fields} fields")
        self._text = bytearray()

    def _begin_file(self, segment: MultipartSegment) -> None:
        if len(self._all) == self._limits.files:
            raise FormTooLarge(f"the form has more than {self._limits.files} files")
        kind = segment.content_type or "application/octet-stream"
        self._upload = Upload(self._name, _shown(segment.filename or ""), _shown(kind))
        self._all.append(self._upload)

    async def _to_file(self, upload: Upload, data: bytes) -> None:
        limit = self._limits.file_bytes
        if limit is not None and upload.size + len(data) > limit:
            raise FormTooLarge(f"the file in {self._name!r} is larger than {limit} bytes")
        await upload.write(data)

    def _to_text(self, data: bytes) -> None:
        if self._text is None:
            return
        if len(self._text) + len(data) > self._limits.value_bytes:
            raise FormTooLarge(
                f"the value of {self._name!r} is longer than {self._limits.value_bytes} bytes"
            )
        self._text += data

    async def _end(self) -> None:
        upload, self._upload = self._upload, None
        text, self._text = self._text, None
        if upload is not None:
            await upload.complete()
            # A browser sends an empty file without a name where none was chosen.
            if upload.filename or upload.size:
                self.uploads.setdefault(self._name, []).append(upload)
        elif text is not None:
            try:
                self.values.setdefault(self._name, []).append(text.decode())
            except UnicodeDecodeError:
                raise BadRequest(f"the value of {self._name!r} is not UTF-8") from None


def _shown(text: str) -> str:
    """Text of a client without what could forge a log line or a header."""
    return "".join(letter for letter in text if letter.isprintable())[:NAME_BYTES]


def _sentence(error: Exception) -> str:
    text = str(error.args[0]) if error.args else "it is not well formed"
    return text[:1].lower() + text[1:]
