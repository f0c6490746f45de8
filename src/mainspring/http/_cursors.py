"""What signs the cursors of pages: keys that follow from SECRET_KEY, as those of tokens do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.auth import MissingSecretKey

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.http._routing import Route
    from mainspring.settings import Settings


def cursor_keys(settings: Settings) -> Callable[[], list[bytes]]:
    """What gives the keys, when the first cursor is made or read."""

    def keys() -> list[bytes]:
        # What derives keys takes a moment to import.
        from mainspring.auth._keys import derive_all  # noqa: PLC0415

        masters = (settings.secret_key, settings.secret_key_previous)
        return [key.secret for key in derive_all(masters, purpose="cursor")]

    return keys


def check_cursor_key(route: Route, settings: Settings) -> None:
    """Refuse a route with pages that has no key, outside development.

    Raises:
        MissingSecretKey: another process, and the next start, could not read its cursors.
    """
    signature = route.signature
    if settings.secret_key or settings.debug or signature is None:
        return
    if any(hasattr(parameter.plain, "__source__") for parameter in signature.of("query")):
        raise MissingSecretKey
