"""Waits for a source file to change."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_LOOK_SECONDS: Final = 0.4
_SUFFIXES: Final = (".py", ".html", ".jinja", ".toml", ".env")
_SKIPPED: Final = frozenset({"node_modules", "__pycache__", "site-packages"})


async def changed(folders: Sequence[str]) -> str:
    """Wait until a file below the folders is changed, added or removed; returns its path.

    It looks at modification times. A notification of the kernel would come 0.2 s sooner, and
    does not cross the mounts of containers and virtual machines.
    """
    before = await asyncio.to_thread(_times, folders)
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        after = await asyncio.to_thread(_times, folders)
        if after != before:
            return min(path for path, _ in after.items() ^ before.items())


def _times(folders: Sequence[str]) -> dict[str, int]:
    return {
        entry.path: entry.stat().st_mtime_ns for folder in folders for entry in _sources(folder)
    }


def _sources(folder: str) -> Iterator[os.DirEntry[str]]:
    try:
        entries = list(os.scandir(folder))
    except OSError:  # removed in the meantime
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            hidden = entry.name.startswith(".") or entry.name in _SKIPPED
            # A virtual environment, whatever it is called.
            if not hidden and not os.path.exists(f"{entry.path}/pyvenv.cfg"):  # noqa: PTH110  # scandir speaks text
                yield from _sources(entry.path)
        elif entry.name.endswith(_SUFFIXES) and entry.is_file():
            yield entry
