"""The name under which a browser saves an answer."""

from __future__ import annotations

import unicodedata
from typing import Final, Literal
from urllib.parse import quote

_NAME_CHARACTERS: Final = 200
# RFC 8187, section 3.2.1: attr-char, less the letters and digits that `quote` keeps anyway.
_ATTR: Final = "!#$&+-.^_`|~"


def content_disposition(name: str, *, kind: Literal["attachment", "inline"] = "attachment") -> str:
    """A `Content-Disposition` with a file name that cannot break out of it.

    Every client understands the ASCII form; the exact name follows for those that take it.

    Args:
        name: any text; folders, control characters and quotes are taken out.
        kind: `attachment` is saved, `inline` may be shown.

    Source: RFC 6266, sections 4.1 to 4.3 and appendix D; RFC 8187.
    """
    cleaned = name.replace("\\", "/").rpartition("/")[2]
    cleaned = "".join(letter for letter in cleaned if letter.isprintable())
    cleaned = cleaned.strip(" .")[:_NAME_CHARACTERS] or "download"
    ascii_name = unicodedata.normalize("NFKD", cleaned).encode("ascii", "ignore").decode()
    ascii_name = "".join("_" if letter in '"%;' else letter for letter in ascii_name) or "download"
    value = f'{kind}; filename="{ascii_name}"'
    if ascii_name != cleaned:
        value += f"; filename*=UTF-8''{quote(cleaned.encode('utf-8', 'replace'), safe=_ATTR)}"
    return value
