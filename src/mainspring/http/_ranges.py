"""Parts of a file, as browsers ask for them to seek in a video or go on with a download.

Source: RFC 9110, section 14.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

RANGES_LIMIT: Final = 8
"""Whoever wants more parts than these gets the whole (RFC 9110, section 14.2)."""
_HEADER_BYTES: Final = 256
_RANGE: Final = re.compile(r"[ \t]*([0-9]{0,18})-([0-9]{0,18})[ \t]*")

Part = tuple[int, int]
"""The first byte and the one after the last."""


class Unsatisfiable(Exception):  # RFC 9110's word for it
    """No part that was asked for exists."""


def parse_range(header: bytes, size: int) -> list[Part] | None:
    """The parts that a `Range` asks for, in its order.

    Returns:
        None when the header is to be ignored and the whole to be sent: it is not well formed,
        has another unit, asks for more than `RANGES_LIMIT` parts or for some bytes twice.

    Raises:
        Unsatisfiable: it is well formed, and nothing of it exists.
    """
    unit, _, listed = header.decode("latin-1").partition("=")
    if len(header) > _HEADER_BYTES or unit.strip().lower() != "bytes":
        return None
    asked = listed.split(",", RANGES_LIMIT)
    if len(asked) > RANGES_LIMIT:
        return None
    parts: list[Part] = []
    for text in asked:
        found = _RANGE.fullmatch(text)
        if found is None or not (found[1] or found[2]):
            return None
        first, last = found.groups()
        if first and last and int(last) < int(first):
            return None
        part = _part(first, last, size)
        if part[0] < part[1]:
            parts.append(part)
    if not parts:
        raise Unsatisfiable
    return None if _overlap(parts) else parts


def _part(first: str, last: str, size: int) -> Part:
    if not first:
        return max(0, size - int(last)), size
    return int(first), min(size, int(last) + 1) if last else size


def _overlap(parts: Sequence[Part]) -> bool:
    ordered = sorted(parts)
    return any(one[1] > two[0] for one, two in pairwise(ordered))


def multipart_heads(
    parts: Sequence[Part], *, size: int, media_type: str, boundary: str
) -> tuple[list[bytes], bytes]:
    """What comes before each part of a `multipart/byteranges`, and what after the last."""
    heads = [
        f"\r\n--{boundary}\r\ncontent-type: {media_type}\r\n"
        f"content-range: bytes {start}-{stop - 1}/{size}\r\n\r\n".encode()
        for start, stop in parts
    ]
    heads[0] = heads[0].removeprefix(b"\r\n")
    return heads, f"\r\n--{boundary}--\r\n".encode()
