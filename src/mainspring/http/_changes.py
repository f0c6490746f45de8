"""Partial updates: the difference between a field that was sent and one that was not."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, Struct


def changes(sent: Struct) -> dict[str, Any]:
    """The fields of a struct that the client sent, by their names in Python.

    Declare such fields as `str | UnsetType = UNSET`; then `null` and absence differ.
    """
    fields = ((name, getattr(sent, name)) for name in sent.__struct_fields__)
    return {name: value for name, value in fields if value is not UNSET}
