"""A table from URL scheme to backend: what `DATABASE_URL` and its kin are looked up in.

A module is imported when its scheme is asked for and not before, so that choosing a backend
is the reader's act and so is installing it. This is the one place of late imports.
"""

from __future__ import annotations

import importlib
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast
from urllib.parse import urlsplit

from mainspring.errors import ConfigError, MissingExtra, suggestion

if TYPE_CHECKING:
    from collections.abc import Mapping

Backend = TypeVar("Backend")


class UnknownBackend(ConfigError):
    """No backend answers to the scheme of a URL."""

    code = "backend.unknown-scheme"


class Backends(Generic[Backend]):
    """The backends of one feature.

    Args:
        feature: its name, and that of the entry point group `mainspring.<feature>` where
            other packages add schemes.
        table: scheme to `"module:attribute"`.
        extras: scheme to the extra that installs its client library.
    """

    def __init__(
        self, feature: str, table: Mapping[str, str], *, extras: Mapping[str, str] | None = None
    ) -> None:
        self._feature = feature
        self._table = dict(table)
        self._extras = dict(extras or {})

    def schemes(self) -> list[str]:
        """Every scheme that can be opened, ours first."""
        return [*self._table, *self._others()]

    def load(self, url: str) -> Backend:
        """What the table names for the URL's scheme, imported.

        Raises:
            UnknownBackend: no backend has the scheme; the message suggests the nearest.
            MissingExtra: the backend's client library is not installed.
            ModuleNotFoundError: the table names a module that does not exist.
        """
        scheme = urlsplit(url).scheme
        target = self._table.get(scheme) or self._others().get(scheme)
        if target is None:
            known = self.schemes()
            raise UnknownBackend(
                f"{self._feature}: no backend answers to {scheme!r}",
                fix=suggestion(scheme, known) or f"use one of: {', '.join(known)}",
            )
        module, _, attribute = target.partition(":")
        try:
            return cast("Backend", getattr(importlib.import_module(module), attribute))
        except ModuleNotFoundError as exc:
            if module == exc.name or module.startswith(f"{exc.name}."):
                raise
            extra = self._extras.get(scheme, scheme)
            raise MissingExtra(f"{scheme}://", package=str(exc.name), extra=extra) from exc

    def _others(self) -> dict[str, str]:
        found: Any = entry_points(group=f"mainspring.{self._feature}")
        return {point.name: point.value for point in found}
