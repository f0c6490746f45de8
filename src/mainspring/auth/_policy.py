"""Who may: a decision about a principal, with a name that messages and pages can show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.auth._principal import Principal


@dataclass(frozen=True, slots=True)
class Policy:
    """A rule that is decided before the body of a request is read.

    Attributes:
        name: how it is listed, such as `signed_in` or `role('editor')`.
        decide: True lets the principal in; None stands for somebody unknown.
        needs_principal: False when the answer is the same for everybody, so that nobody
            has to be identified.
    """

    name: str
    decide: Callable[[Principal | None], bool]
    needs_principal: bool = True

    def __repr__(self) -> str:
        return self.name

    def __or__(self, other: Policy) -> Policy:
        """Either of the two lets in."""
        return Policy(
            f"{self.name} | {other.name}",
            lambda principal: self.decide(principal) or other.decide(principal),
            self.needs_principal and other.needs_principal,
        )

    def __and__(self, other: Policy) -> Policy:
        """Both must let in."""
        return Policy(
            f"{self.name} & {other.name}",
            lambda principal: self.decide(principal) and other.decide(principal),
            self.needs_principal or other.needs_principal,
        )


anyone = Policy("anyone", lambda _: True, needs_principal=False)
"""Everybody, known or not."""

signed_in = Policy("signed_in", lambda principal: principal is not None)
"""Everybody whose credentials were accepted."""


def role(*names: str) -> Policy:
    """Those who have at least one of the roles."""
    wanted = frozenset(names)
    listed = ", ".join(map(repr, names))
    return Policy(
        f"role({listed})",
        lambda principal: principal is not None and not wanted.isdisjoint(principal.roles),
    )
