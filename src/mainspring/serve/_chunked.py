"""A chunked body, taken apart as it arrives.

Source: RFC 9112, section 7.1.
"""

from __future__ import annotations

import re
from typing import Final

from mainspring.serve._grammar import LINE_BYTES, read_head
from mainspring.serve._refusal import Refusal

# Eight digits are 4 GiB in one chunk; more only serves to overflow somebody's integer.
_SIZE_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,8})([ \t]*;[^\x00-\x08\x0a-\x1f\x7f]*)?")
_SIZE_LINE_LIMIT: Final = 1024


class Chunks:
    """Decodes one body.

    Args:
        trailer_bytes: of the trailer section.
        trailer_count: its lines.
        extension_bytes: of the extensions of all chunks together.
    """

    def __init__(self, *, trailer_bytes: int, trailer_count: int, extension_bytes: int) -> None:
        self._trailer_bytes = trailer_bytes
        self._trailer_count = trailer_count
        self._extensions_left = extension_bytes
        self._pending = b""
        self._left = 0
        self._in_trailer = False
        self._ends_chunk = False

    def feed(self, data: bytes) -> tuple[list[bytes], bytes | None]:
        """What the bytes add to the body, and what follows it.

        Returns:
            The decoded pieces, and None while the body goes on, else the bytes after it.

        Raises:
            Refusal: 400 or 431.
        """
        if self._pending:
            data = self._pending + data
            self._pending = b""
        parts: list[bytes] = []
        at = 0
        while not self._in_trailer:
            if self._left:
                part = data[at : at + self._left]
                if not part:
                    return parts, None
                parts.append(part)
                at += len(part)
                self._left -= len(part)
                if self._left:
                    return parts, None
                self._ends_chunk = True
            after = self._size_line(data, at)
            if after < 0:
                self._pending = data[at:]
                return parts, None
            at = after
        return parts, self._trailer(data, at)

    def _size_line(self, data: bytes, at: int) -> int:
        """Where the chunk begins whose size line begins here; -1 if it is not complete."""
        if self._ends_chunk:
            end = data[at : at + 2]
            if end != b"\r\n":
                if b"\r\n".startswith(end):
                    return -1
                raise Refusal(400, "a chunk is longer than its size")
            at += 2
        end_at = data.find(b"\r\n", at, at + _SIZE_LINE_LIMIT)
        if end_at < 0:
            self._check_partial(data[at:])
            return -1
        found = _SIZE_LINE.fullmatch(data, at, end_at)
        if found is None:
            raise Refusal(400, "a chunk's size is malformed")
        digits, extension = found.groups()
        if extension:
            self._extensions_left -= len(extension)
            if self._extensions_left < 0:
                raise Refusal(400, "too many chunk extensions")
        self._left = int(digits, 16)
        self._in_trailer = not self._left
        self._ends_chunk = False
        return end_at + 2

    def _check_partial(self, line: bytes) -> None:
        # A line without an end that can no longer become right is refused at once.
        if len(line) >= _SIZE_LINE_LIMIT or line.removesuffix(b"\r").translate(None, LINE_BYTES):
            raise Refusal(400, "a chunk's size is malformed")

    def _trailer(self, data: bytes, at: int) -> bytes | None:
        """The bytes after the trailer section, which is checked and dropped (RFC 9110, 6.5.1)."""
        if data.startswith(b"\r\n", at):
            return data[at + 2 :]
        end = data.find(b"\r\n\r\n", at)
        size = (len(data) if end < 0 else end) - at
        if size > self._trailer_bytes:
            raise Refusal(431, f"trailers of more than {self._trailer_bytes} bytes")
        if end < 0:
            rest = data[at:]
            broken = rest.removesuffix(b"\r").replace(b"\r\n", b"").translate(None, LINE_BYTES)
            if broken:
                raise Refusal(400, "a trailer has a broken line end")
            self._pending = rest
            return None
        read_trailer(data[at : end + 2], count_limit=self._trailer_count)
        return data[end + 4 :]


def read_trailer(block: bytes, *, count_limit: int) -> None:
    """Check the lines of a trailer section, which says nothing about framing or the host."""
    head = read_head(block, count_limit=count_limit)
    if head.length or b"host" in head.headers:
        raise Refusal(400, "a trailer cannot change how the message is read")
