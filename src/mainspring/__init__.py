"""Mainspring: the Python backend that proves itself.

The names that an application starts with; everything else is in the package of its feature.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from msgspec import Meta, Struct

    from mainspring.app import App, Progress
    from mainspring.auth import anyone, role, signed_in
    from mainspring.http import (
        Conflict,
        Created,
        Forbidden,
        Invalid,
        NotFound,
        Problem,
        Request,
        Response,
        Router,
    )
    from mainspring.settings import Settings

__version__ = "0.1.0.dev0"

# Loaded when first asked for, so that a command such as `mainspring new` starts at once.
_HOMES = {
    "App": "mainspring.app",
    "Conflict": "mainspring.http",
    "Created": "mainspring.http",
    "Forbidden": "mainspring.http",
    "Invalid": "mainspring.http",
    "Meta": "msgspec",
    "NotFound": "mainspring.http",
    "Problem": "mainspring.http",
    "Progress": "mainspring.app",
    "Request": "mainspring.http",
    "Response": "mainspring.http",
    "Router": "mainspring.http",
    "Settings": "mainspring.settings",
    "Struct": "msgspec",
    "anyone": "mainspring.auth",
    "role": "mainspring.auth",
    "signed_in": "mainspring.auth",
}

__all__ = [
    "App",
    "Conflict",
    "Created",
    "Forbidden",
    "Invalid",
    "Meta",
    "NotFound",
    "Problem",
    "Progress",
    "Request",
    "Response",
    "Router",
    "Settings",
    "Struct",
    "anyone",
    "role",
    "signed_in",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'mainspring' has no attribute {name!r}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
