"""JSON and MessagePack: the two formats that every body and every answer may have."""

from __future__ import annotations

import re
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

import msgspec

from mainspring.http._duplicates import Duplicates
from mainspring.http._explain import readable, violations
from mainspring.http._problem import BadRequest, Invalid, Problem, Violation
from mainspring.http._routing import RouteError
from mainspring.http._signature import unwrap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mainspring.http._request import Request
    from mainspring.http._signature import Parameter

JSON: Final = "application/json"
MSGPACK: Final = "application/msgpack"
# The registered name came late; clients still send the older ones.
_MSGPACK_NAMES: Final = frozenset({MSGPACK, "application/x-msgpack", "application/vnd.msgpack"})


class UnsupportedMediaType(Problem):
    """415: the body is in a format that the route does not take."""

    def __init__(self, sent: str, taken: tuple[str, ...]) -> None:
        what = f"a body of type {sent!r}" if sent else "a body without a Content-Type"
        super().__init__(
            415,
            f"{what} is not taken here; send {' or '.join(taken)}",
            headers={"accept": ", ".join(taken)},
        )


def media_type(content_type: str) -> str:
    """The type without its parameters, in lower case. Linear in the length."""
    return content_type.partition(";")[0].strip().lower()


def refuse_encoded(request: Request) -> None:
    """Raise 415 for a compressed body; a route that takes one has replaced it before.

    Source: RFC 9110, sections 8.4 and 15.5.16.
    """
    coding = request.raw_headers.get(b"content-encoding", b"identity")
    if coding.lower() != b"identity":
        raise Problem(
            415,
            f"a body with Content-Encoding {coding.decode('latin-1')!r} is not taken here",
            headers={"accept-encoding": "identity"},
        )


# The first bytes of a float64 or float32 whose exponent is all ones, wherever they stand.
_MAYBE_NOT_FINITE: Final = re.compile(rb"\xcb[\x7f\xff][\xf0-\xff]|\xca[\x7f\xff][\x80-\xff]")


def _unfit(value: Any, at: str) -> Iterator[Violation]:
    """What no body may hold: numbers that JSON has not, and NUL, which databases cannot keep."""
    if isinstance(value, float):
        if not isfinite(value):
            yield Violation("must be a finite number", pointer=at)
    elif isinstance(value, str):
        if "\0" in value:
            yield Violation("must not hold a NUL character", pointer=at)
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _unfit(inner, f"{at}/{name}")
    elif isinstance(value, (list, tuple)):
        for number, inner in enumerate(value):
            yield from _unfit(inner, f"{at}/{number}")


def _refuse_unfit(value: Any) -> None:
    try:
        found = list(_unfit(value, "#"))
    except RecursionError:
        raise BadRequest("the body cannot be read: it is nested too deeply") from None
    if found:
        raise Invalid(found)


class StructuredBody:
    """Reads a body of JSON or MessagePack into a type."""

    media_types = (JSON, MSGPACK)

    def __init__(self, parameter: Parameter) -> None:
        # Constraints of the whole stay on the type; our marker means nothing to the decoder.
        kind = parameter.kind
        self._key: str = getattr(unwrap(kind)[1], "key", "")
        self.kind = msgspec.defstruct("Body", [(self._key, kind)]) if self._key else kind
        try:
            self._json = msgspec.json.Decoder(self.kind).decode
            self._msgpack = msgspec.msgpack.Decoder(self.kind).decode
        except TypeError as exc:
            raise RouteError(
                f"a body cannot be read into {parameter.name!r}: {exc}",
                fix="give the parameter a type that JSON can tell from others",
            ) from exc
        self._duplicates = Duplicates(self.kind)

    def decode(self, request: Request, data: bytes) -> Any:
        """The value.

        Raises:
            Invalid: it is well formed, but not of the type; names every violation.
            BadRequest: it is not well formed.
            UnsupportedMediaType: it is in another format.

        JSON has no NaN and no infinity, and MessagePack shall not bring them in either.
        """
        sent = request.raw_headers.get(b"content-type", b"")
        decode = self._json if sent == b"application/json" else self._decoder(sent)
        try:
            value = decode(data)
        except msgspec.ValidationError as exc:
            raise Invalid(self._explain(decode, data, exc)) from None
        except (msgspec.DecodeError, ValueError, RecursionError) as exc:
            refuse_encoded(request)
            raise BadRequest(f"the body cannot be read: {readable(exc)}") from None
        if decode is self._json:
            self._duplicates.check(data, value)
            if b"\\u0000" in data:
                _refuse_unfit(msgspec.json.decode(data))
        elif b"\0" in data or _MAYBE_NOT_FINITE.search(data):
            _refuse_unfit(msgspec.msgpack.decode(data))
        return getattr(value, self._key) if self._key else value

    def _decoder(self, sent: bytes) -> Callable[[bytes], Any]:
        name = media_type(sent.decode("latin-1"))
        if name == JSON or (name.endswith("+json") and name.startswith("application/")):
            return self._json
        if name in _MSGPACK_NAMES:
            return self._msgpack
        raise UnsupportedMediaType(name, self.media_types)

    def _explain(
        self, decode: Callable[[bytes], Any], data: bytes, error: Exception
    ) -> list[Violation]:
        plain = msgspec.json.decode if decode is self._json else msgspec.msgpack.decode
        try:
            found = violations(plain(data), self.kind)
        except (msgspec.DecodeError, ValueError, RecursionError):
            found = []
        return found or [Violation(readable(error), pointer="#")]
