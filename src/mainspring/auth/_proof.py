"""The seam between what a request carries and who that makes the caller."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


class Credentials(Protocol):
    """What a request carries, as far as a proof may look; every `Request` is one."""

    @property
    def raw_headers(self) -> Mapping[bytes, bytes]: ...
    @property
    def cookies(self) -> Mapping[str, str]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Whose credentials these are, if that account is still there and still active.

    Attributes:
        user_id: primary key of the user.
        proof: which kind of credentials it was, such as `jwt`.
        scheme: of `Authorization`; empty if they came another way.
        version: `User.credentials_version` when they were given out; None if they have no
            such bond, and end in another way.
    """

    user_id: int
    proof: str
    scheme: str = ""
    version: int | None = None


class Proof(Protocol):
    """Reads one kind of credentials.

    Promises: `read` gives None when the request carries nothing of its kind, so that the next
    proof is asked; it raises `BadCredentials` when it does and they are not good, and nobody
    else is asked then. What it returns has been verified.

    Attributes:
        scheme: the challenge for a caller who sent nothing (RFC 9110, section 11.6.1).
    """

    @property
    def scheme(self) -> str: ...

    async def read(self, credentials: Credentials) -> Claim | None: ...
