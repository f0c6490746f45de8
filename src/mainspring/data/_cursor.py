"""Cursors: a place in an ordered list, signed, so that nobody can write one."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING, Any, Final

import msgspec

from mainspring.data._errors import BadCursor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_TAG_BYTES: Final = 16
_MOST_CHARACTERS: Final = 4096


class Place(msgspec.Struct, frozen=True, array_like=True):
    """Where in a list a page begins.

    Attributes:
        order: the list's order, in short; a cursor of another order is refused.
        backward: the page ends there instead.
        inclusive: the row with these very values belongs to the page.
        values: of what the list is ordered by, in that order.
    """

    order: bytes
    backward: bool
    inclusive: bool
    values: list[Any]


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Place).decode


class Cursors:
    """Makes cursors and reads them.

    A cursor is signed and not encrypted: whoever has it can read the values in it, which are
    those that the list is ordered by.

    Args:
        keys: gives the keys when the first cursor is made or read: the first signs, all verify.
            Without any the process makes one, which no other process and no later start knows.
    """

    def __init__(self, keys: Callable[[], Sequence[bytes]] = tuple) -> None:
        self._find = keys
        self._found: tuple[bytes, ...] = ()

    def write(self, place: Place) -> str:
        """The cursor of a place, of letters that a query may hold."""
        sealed = _encode(place)
        return _text(_tag(self._keys()[0], sealed) + sealed)

    def read(self, cursor: str) -> Place:
        """The place of a cursor.

        Raises:
            BadCursor: it is not one of ours, or was changed.
        """
        if len(cursor) <= _MOST_CHARACTERS:
            raw = _bytes(cursor)
            tag, sealed = raw[:_TAG_BYTES], raw[_TAG_BYTES:]
            # Base64 can write the same bytes in several ways, of which one is the cursor.
            if _text(raw) == cursor and any(
                hmac.compare_digest(tag, _tag(key, sealed)) for key in self._keys()
            ):
                return _decode(sealed)
        raise BadCursor("this is not a cursor that was given out", fix="begin at the first page")

    def _keys(self) -> tuple[bytes, ...]:
        if not self._found:
            self._found = tuple(self._find()) or (secrets.token_bytes(32),)
        return self._found


def _tag(key: bytes, sealed: bytes) -> bytes:
    # RFC 2104 lets a tag be cut to half of the digest.
    return hmac.digest(key, sealed, hashlib.sha256)[:_TAG_BYTES]


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return b""
