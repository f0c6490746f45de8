"""The package as tests walk it: every module, every class below another."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

import mainspring


@cache
def modules() -> tuple[str, ...]:
    """The dotted names of every module of the package but `__main__`, which runs when imported."""
    found = pkgutil.walk_packages(mainspring.__path__, "mainspring.")
    return ("mainspring", *(m.name for m in found if not m.name.endswith(".__main__")))


def classes_below(root: type) -> list[type]:
    """The class and everything in the package that inherits from it, in the order of names."""
    for name in modules():
        importlib.import_module(name)
    seen: dict[str, type] = {}
    waiting = [root]
    while waiting:
        kind = waiting.pop()
        if kind.__module__.partition(".")[0] == "mainspring":
            seen[f"{kind.__module__}.{kind.__qualname__}"] = kind
            waiting += kind.__subclasses__()
    return [seen[name] for name in sorted(seen)]
