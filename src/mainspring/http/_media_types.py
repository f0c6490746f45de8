"""The media type of a file by its name, the same on every machine."""

from __future__ import annotations

from functools import cache
from typing import Final

_MORE: Final = {
    ".avif": "image/avif", ".cjs": "text/javascript", ".js": "text/javascript",
    ".map": "application/json", ".md": "text/markdown", ".mjs": "text/javascript",
    ".opus": "audio/ogg", ".otf": "font/otf", ".ttf": "font/ttf", ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json", ".webp": "image/webp", ".woff": "font/woff",
    ".woff2": "font/woff2", ".yaml": "application/yaml", ".yml": "application/yaml",
}  # fmt: skip


def media_type_of(name: str) -> str:
    """The type, with its charset for text; `application/octet-stream` if it is not known."""
    suffix = name[name.rfind(".") :].lower() if "." in name else ""
    found = _MORE.get(suffix) or _known().get(suffix) or "application/octet-stream"
    return f"{found}; charset=utf-8" if found.startswith("text/") else found


@cache
def _known() -> dict[str, str]:
    # Making the table reads the machine's as well: 2 ms and 0.3 MB for whoever serves a file.
    import mimetypes  # noqa: PLC0415

    # The module's own table and not the machine's: an answer must not depend on /etc/mime.types.
    return mimetypes.MimeTypes(filenames=()).types_map[True]
