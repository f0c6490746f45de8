"""What stops an application that does not say who may use it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.errors import ConfigError

if TYPE_CHECKING:
    from mainspring.http._routing import Route


class UndeclaredPolicy(ConfigError):
    """Routes, sockets or mounts that do not say who may use them."""

    code = "app.undeclared-policy"

    def __init__(self, routes: list[Route]) -> None:
        listed = "; ".join(f"{r.title} ({r.endpoint.__qualname__})" for r in routes)
        super().__init__(
            f"no policy is declared for: {listed}",
            fix="give each an allow=: anyone, signed_in, role('…') or a policy of your own",
        )
