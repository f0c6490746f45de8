"""E-mail addresses and user names, in the one form in which they are stored and compared."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from mainspring.auth._errors import Unacceptable

_LONGEST_ADDRESS: Final = 254
_LONGEST_LOCAL_PART: Final = 64
_LONGEST_NAME: Final = 150
_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
# What a browser takes in an e-mail field. Letters beyond ASCII are refused: two addresses that
# look the same would be two accounts.
_ADDRESS: Final = re.compile(rf"[a-z0-9.!#$%&'*+/=?^_`{{|}}~-]+@{_LABEL}(?:\.{_LABEL})*")


def normalize_email(text: str) -> str:
    """The address in lower case, in which no two accounts differ.

    Case may matter left of the `@` by RFC 5321, and no mail provider lets it.

    Raises:
        Unacceptable: it is not an address that mail could reach.

    Source: WHATWG HTML, "valid e-mail address"; RFC 5321, section 4.5.3.1 for the lengths.
    """
    # Before `lower`, which turns the Kelvin sign into a k.
    plausible = len(text) <= 2 * _LONGEST_ADDRESS and text.isascii()
    address = text.strip().lower() if plausible else ""
    local = address.partition("@")[0]
    if (
        len(address) > _LONGEST_ADDRESS
        or len(local) > _LONGEST_LOCAL_PART
        or not _ADDRESS.fullmatch(address)
    ):
        raise Unacceptable("email", "is not an e-mail address")
    return address


def normalize_username(text: str) -> str:
    """The name with its characters composed (NFC), so that what looks the same is the same.

    Raises:
        Unacceptable: it is empty, too long, or holds something that cannot be seen.
    """
    name = unicodedata.normalize("NFC", text[: _LONGEST_NAME + 1])
    if not name.strip():
        raise Unacceptable("username", "can't be blank")
    if len(name) > _LONGEST_NAME:
        raise Unacceptable("username", f"must have at most {_LONGEST_NAME} characters")
    if name != name.strip() or not name.isprintable():
        raise Unacceptable("username", "must not hold characters that cannot be seen")
    return name
