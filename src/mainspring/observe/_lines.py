"""What a log line says, as JSON for machines or as text for people."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# The two clocks, read once: a request carries only the precise one.
_WALL: Final = time.time() - time.perf_counter()


class Finished(NamedTuple):
    """A finished request, as it is put into the queue: no work is done for it there.

    Attributes:
        started: `time.perf_counter` at its first byte.
        ended: the same when its answer was known.
    """

    id: str
    method: str
    path: str
    route: str
    status: int
    started: float
    ended: float
    client: tuple[str, int] | None


class Said(NamedTuple):
    """Something that the program said: a log call, or an event of telemetry."""

    at: float
    level: str
    event: str
    facts: dict[str, Any]


class _RequestLine(msgspec.Struct):
    timestamp: datetime
    level: str
    event: str
    method: str
    path: str
    route: str
    status: int
    duration_ms: float
    request_id: str
    client: str | None


Record = tuple[Any, ...]
"""A `Said`, or the values of a `Finished` in order: naming them is left to the reader."""
_encoder: Final = msgspec.json.Encoder(enc_hook=repr)
_SERVER_ERROR: Final = 500


def as_json(records: Iterable[Record]) -> bytes:
    """One JSON object a line."""
    lines = [_said(r) if isinstance(r, Said) else _request_line(Finished(*r)) for r in records]
    try:
        return _encoder.encode_lines(lines)
    except Exception:  # noqa: BLE001  # one value that cannot be rendered must not cost the others
        return b"".join(map(_one, lines))


def _one(line: object) -> bytes:
    try:
        return _encoder.encode(line) + b"\n"
    except Exception as exc:  # noqa: BLE001  # the same, for the one that is at fault
        return (
            _encoder.encode({"level": "error", "event": "log.unwritable", "why": repr(exc)}) + b"\n"
        )


def _request_line(record: Finished) -> _RequestLine:
    return _RequestLine(
        datetime.fromtimestamp(_WALL + record.ended, UTC),
        "error" if record.status >= _SERVER_ERROR else "info",
        "request",
        record.method,
        record.path,
        record.route,
        record.status,
        round((record.ended - record.started) * 1000, 3),
        record.id,
        record.client[0] if record.client else None,
    )


def _said(record: Said) -> dict[str, Any]:
    return {
        "timestamp": datetime.fromtimestamp(record.at, UTC),
        "level": record.level,
        "event": record.event,
        **record.facts,
    }


_COLOURS: Final = {"debug": "2", "info": "36", "warning": "33", "error": "31", "critical": "31;1"}
_STATUS_COLOURS: Final = {1: "36", 2: "32", 3: "36", 4: "33", 5: "31"}


def as_text(*, colour: bool) -> Callable[[Iterable[Record]], bytes]:
    """One readable line each, coloured if asked for."""

    def paint(code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if colour else text

    def line(record: Record) -> str:
        if isinstance(record, Said):
            return _said_text(record, paint)
        return _request_text(Finished(*record), paint)

    return lambda records: "".join(line(record) + "\n" for record in records).encode()


def _request_text(record: Finished, paint: Callable[[str, str], str]) -> str:
    at = datetime.fromtimestamp(_WALL + record.ended).astimezone()
    took = (record.ended - record.started) * 1000
    status = paint(_STATUS_COLOURS.get(record.status // 100, "0"), str(record.status))
    return (
        f"{paint('2', f'{at:%H:%M:%S}')} {status} {record.method:<6} {plain(record.path)}"
        f" {paint('2', f'{took:.1f} ms')}"
    )


def _said_text(record: Said, paint: Callable[[str, str], str]) -> str:
    at = datetime.fromtimestamp(record.at).astimezone()
    facts = dict(record.facts)
    traceback = facts.pop("exception", None)
    listed = " ".join(f"{name}={plain(str(value))}" for name, value in facts.items())
    level = paint(_COLOURS.get(record.level, "0"), record.level)
    text = f"{paint('2', f'{at:%H:%M:%S}')} {level} {plain(record.event)}"
    text += f" {paint('2', listed)}" if listed else ""
    return text + (f"\n{traceback}" if traceback else "")


def plain(text: str) -> str:
    """Text that cannot forge a line or drive a terminal: control characters are escaped."""
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
