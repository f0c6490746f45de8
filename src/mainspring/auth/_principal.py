"""Who is asking."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody whose credentials were accepted.

    Attributes:
        user_id: primary key of the user.
        roles: names of the user's roles.
        proof: which kind of credentials it was, such as `jwt`.
    """

    user_id: int
    roles: frozenset[str] = frozenset()
    proof: str = ""
