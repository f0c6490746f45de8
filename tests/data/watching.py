"""What a block of a test sends to the database."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from mainspring.data import _observed

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def sent() -> Iterator[list[str]]:
    """The statements of the block, in order."""
    seen: list[str] = []
    stop = _observed.listen(lambda statement: seen.append(statement.text))
    try:
        yield seen
    finally:
        stop()
