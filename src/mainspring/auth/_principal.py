"""Who is asking."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring.auth._user import User


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody whose credentials were accepted.

    Attributes:
        user_id: primary key of the user.
        roles: names of the user's roles.
        proof: which kind of credentials it was, such as `jwt`.
        user: the account as it was when the request came; to change it, ask for the user.
    """

    user_id: int
    roles: frozenset[str] = frozenset()
    proof: str = ""
    user: User | None = field(default=None, compare=False, repr=False)
