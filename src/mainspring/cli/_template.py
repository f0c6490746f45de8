"""The files of a new project: kept as text in `template/`, with `$names` to fill in."""

from __future__ import annotations

from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from importlib.resources.abc import Traversable
    from pathlib import Path


def write_project(folder: Path, names: Mapping[str, str]) -> list[Path]:
    """Write every file of the template below `folder`, and return where they are.

    A file `package/app.py.txt` becomes `<package>/app.py`; `dot.env.txt` becomes `.env`, so
    that no tool takes the template itself for code or for configuration.

    Raises:
        FileExistsError: a file is there already; nothing of it is touched.
    """
    written = []
    for parts, source in _sources(files("mainspring.cli") / "template"):
        path = folder.joinpath(*(_named(part, names) for part in parts))
        path.parent.mkdir(parents=True, exist_ok=True)
        text = Template(source.read_text(encoding="utf-8")).substitute(names)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
        written.append(path)
    return written


def _sources(
    folder: Traversable, above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Traversable]]:
    for entry in sorted(folder.iterdir(), key=lambda each: each.name):
        parts = (*above, entry.name)
        if entry.is_dir():
            yield from _sources(entry, parts)
        elif entry.name.endswith(".txt"):
            yield parts, entry


def _named(part: str, names: Mapping[str, str]) -> str:
    if part == "package":
        return names["package"]
    name = part.removesuffix(".txt")
    return f".{name.removeprefix('dot.')}" if name.startswith("dot.") else name
