"""Keys for signing, derived from SECRET_KEY: one for each purpose, none of them the key itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mainspring.settings import Secret

_KEY_BYTES: Final = 32
_ID_BYTES: Final = 6


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A symmetric key with its public name.

    Attributes:
        id: says which key signed, and nothing about the key.
        secret: 256 bits.
    """

    id: str
    secret: bytes = field(repr=False)


def derive(master: Secret, *, purpose: str) -> SigningKey:
    """The key of one purpose; the same every time, and useless for any other purpose.

    Source: RFC 5869 (HKDF), section 3.2 for `info`.
    """
    material = master.reveal().encode()
    return SigningKey(
        id=_expand(material, f"mainspring:{purpose}:id", _ID_BYTES).hex(),
        secret=_expand(material, f"mainspring:{purpose}:key", _KEY_BYTES),
    )


def derive_all(masters: Iterable[Secret], *, purpose: str) -> tuple[SigningKey, ...]:
    """The keys of one purpose: the first signs, and all of them verify; empty ones are left out."""
    return tuple(derive(master, purpose=purpose) for master in masters if master)


def _expand(material: bytes, info: str, length: int) -> bytes:
    return HKDF(SHA256(), length, salt=None, info=info.encode()).derive(material)
