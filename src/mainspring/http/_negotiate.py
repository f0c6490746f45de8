"""Which of the formats that there are a client would rather have."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

_RANGES_LIMIT: Final = 64
"""Longer lists are cut: nobody who is served has that many tastes."""


@lru_cache(maxsize=256)
def preferred(accept: str, offered: tuple[str, ...]) -> str | None:
    """The offered media type with the highest weight; the earlier of two equal ones.

    Returns:
        None if the client refuses all of them. An empty header takes everything.

    Source: RFC 9110, section 12.5.1.
    """
    ranges = _ranges(accept)
    if not ranges:
        return offered[0]
    weighted = [(_weight(kind, ranges), kind) for kind in offered]
    best, kind = max(weighted, key=lambda pair: pair[0])
    return kind if best > 0 else None


def _ranges(accept: str) -> list[tuple[str, float]]:
    found = []
    for part in accept.split(",", _RANGES_LIMIT)[:_RANGES_LIMIT]:
        name, *parameters = part.split(";")
        if name.strip():
            found.append((name.strip().lower(), _quality(parameters)))
    return found


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                return min(1.0, max(0.0, float(value)))
            except ValueError:
                return 0.0
    return 1.0


def _weight(kind: str, ranges: list[tuple[str, float]]) -> float:
    """The weight of the most specific range that covers the type."""
    major = kind.partition("/")[0]
    for wanted in (kind, f"{major}/*", "*/*"):
        for name, weight in ranges:
            if name == wanted:
                return weight
    return 0.0
