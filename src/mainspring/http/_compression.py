"""Content codings: gzip and deflate always, Brotli and Zstandard where their packages are.

Source: RFC 9110, section 8.4.1; RFC 7932 (br); RFC 8878 and RFC 9659 (zstd).
"""

from __future__ import annotations

import zlib
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, Protocol

from mainspring.http._problem import BadRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

# The cheapest levels that earn their time: on 64 KiB of JSON gzip 1 takes 0.7 ms for a ratio of
# 4.1 and gzip 6 takes 2.5 ms for 5.4; br 1 takes 0.24 ms for 4.5, zstd 3 takes 0.2 ms for 5.0.
_GZIP_LEVEL: Final = 1
_BROTLI_QUALITY: Final = 1
_ZSTD_LEVEL: Final = 3
_PACKAGES: Final = {"zstd": "zstandard", "br": "brotli"}
_ACCEPT_BYTES: Final = 256


def available() -> tuple[str, ...]:
    """The codings that can be made here, the fastest first."""
    extras = (coding for coding, package in _PACKAGES.items() if find_spec(package))
    return (*extras, "gzip")


@lru_cache(maxsize=128)
def chosen(accept: bytes, offered: tuple[str, ...]) -> str | None:
    """The coding for a client; None for none.

    Args:
        accept: value of `Accept-Encoding`; one that is absurdly long is not looked at.
        offered: in the order of our own preference.

    Source: RFC 9110, section 12.5.3.
    """
    if len(accept) > _ACCEPT_BYTES:
        return None
    weights = dict(map(_weighted, accept.decode("latin-1").lower().split(",")))
    rest = weights.get("*", 0.0)
    weighted = [(weights.get(coding, rest), coding) for coding in offered]
    weight, coding = max(weighted, key=lambda pair: pair[0])
    return coding if weight > 0 and weight >= weights.get("identity", 0.0) else None


def _weighted(part: str) -> tuple[str, float]:
    name, _, parameter = part.partition(";")
    key, _, value = parameter.partition("=")
    if key.strip() != "q":
        return name.strip(), 1.0
    try:
        return name.strip(), min(1.0, max(0.0, float(value)))
    except ValueError:
        return name.strip(), 0.0


class Compressor(Protocol):
    """Makes one compressed body out of pieces."""

    def piece(self, data: bytes, *, flush: bool) -> bytes:
        """What can be sent now; all of what came so far if `flush`."""
        ...

    def end(self) -> bytes:
        """The rest."""
        ...


def compressor(coding: str) -> Compressor:
    """A compressor for one body."""
    match coding:
        case "br":
            return _Brotli()
        case "zstd":
            return _Zstd()
        case _:
            return _Gzip()


class _Gzip:
    def __init__(self) -> None:
        self._z = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, zlib.MAX_WBITS | 16)

    def piece(self, data: bytes, *, flush: bool) -> bytes:
        made = self._z.compress(data)
        return made + self._z.flush(zlib.Z_SYNC_FLUSH) if flush else made

    def end(self) -> bytes:
        return self._z.flush()


class _Brotli:
    def __init__(self) -> None:
        self._z: Any = import_module("brotli").Compressor(quality=_BROTLI_QUALITY)

    def piece(self, data: bytes, *, flush: bool) -> bytes:
        made: bytes = self._z.process(data)
        return made + self._z.flush() if flush else made

    def end(self) -> bytes:
        return bytes(self._z.finish())


class _Zstd:
    def __init__(self) -> None:
        zstandard: Any = import_module("zstandard")
        self._z: Any = zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compressobj()
        self._block = zstandard.COMPRESSOBJ_FLUSH_BLOCK

    def piece(self, data: bytes, *, flush: bool) -> bytes:
        made: bytes = self._z.compress(data)
        return made + self._z.flush(self._block) if flush else made

    def end(self) -> bytes:
        return bytes(self._z.flush())


class Decompressor(Protocol):
    """Undoes one compressed body, never giving more than a bounded piece at once."""

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """What `data` stands for, in pieces of about `PIECE_BYTES`.

        Raises:
            BadRequest: it is not of the coding.
        """
        ...

    def check_end(self) -> None:
        """Raise `BadRequest` if the body is not complete."""
        ...


PIECE_BYTES: Final = 64 * 1024
_NO_END: Final = "the compressed body is cut short"
_TOO_MUCH: Final = "something follows the end of the compressed body"
_NO_CODING: Final = "the compressed body cannot be read"


def decompressor(coding: str) -> Decompressor | None:
    """What undoes a coding; None for one that is not known or whose package is missing."""
    match coding:
        case "gzip" | "x-gzip":
            return _Inflate(zlib.MAX_WBITS | 16)
        case "deflate":
            return _Inflate(zlib.MAX_WBITS)
        case "br" if find_spec("brotli"):
            return _Unbrotli()
        case "zstd" if find_spec("zstandard"):
            return _Unzstd()
        case _:
            return None


class _Inflate:
    def __init__(self, bits: int) -> None:
        self._z = zlib.decompressobj(bits)

    def pieces(self, data: bytes) -> Iterator[bytes]:
        if self._z.eof:
            raise BadRequest(_TOO_MUCH)
        made = b"?" * PIECE_BYTES
        # A full piece may leave something behind inside, with no input left to show it.
        while data or len(made) == PIECE_BYTES:
            try:
                made = self._z.decompress(data, PIECE_BYTES)
            except zlib.error:
                raise BadRequest(_NO_CODING) from None
            if made:
                yield made
            if self._z.unused_data:
                raise BadRequest(_TOO_MUCH)
            data = self._z.unconsumed_tail

    def check_end(self) -> None:
        if not self._z.eof:
            raise BadRequest(_NO_END)


class _Unbrotli:
    def __init__(self) -> None:
        brotli: Any = import_module("brotli")
        self._z: Any = brotli.Decompressor()
        self._error: type[Exception] = brotli.error

    def pieces(self, data: bytes) -> Iterator[bytes]:
        while True:
            try:
                made: bytes = self._z.process(data, output_buffer_limit=PIECE_BYTES)
            except self._error:
                raise BadRequest(_NO_CODING) from None
            data = b""
            if made:
                yield made
            if self._z.can_accept_more_data():
                return

    def check_end(self) -> None:
        if not self._z.is_finished():
            raise BadRequest(_NO_END)


# The package gives all that some input stands for at once, and 4 bytes can stand for a block of
# 128 KiB. So the input is given to it in slices that bound what comes out to about 3 MiB.
_SLICE_BYTES: Final = 64
_WINDOW_BYTES: Final = 8 * 1024 * 1024
"""RFC 9659, section 3: no more may be asked of a decoder."""


class _Unzstd:
    def __init__(self) -> None:
        zstandard: Any = import_module("zstandard")
        self._z: Any = zstandard.ZstdDecompressor(max_window_size=_WINDOW_BYTES).decompressobj()
        self._error: type[Exception] = zstandard.ZstdError

    def pieces(self, data: bytes) -> Iterator[bytes]:
        for at in range(0, len(data), _SLICE_BYTES):
            if self._z.eof:
                raise BadRequest(_TOO_MUCH)
            try:
                made: bytes = self._z.decompress(data[at : at + _SLICE_BYTES])
            except self._error:
                raise BadRequest(_NO_CODING) from None
            if made:
                yield made
        if self._z.eof and self._z.unused_data:
            raise BadRequest(_TOO_MUCH)

    def check_end(self) -> None:
        if not self._z.eof:
            raise BadRequest(_NO_END)
