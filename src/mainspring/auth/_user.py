"""The user: one table, which an application may extend."""

from __future__ import annotations

from datetime import datetime

from mainspring.data import Mapped, Model, column, utc_now


class User(Model):
    """Somebody with an account.

    An application that needs more subclasses it and says so: `App("shop", user=Member)`. The
    subclass shares the table, so `foreign_key(User.id)` refers to either, and every row is a
    `Member`; use that class everywhere then.

    Attributes:
        email: unique, in lower case.
        username: unique and public; None in an application that has no use for it.
        password_hash: None for somebody who cannot sign in with a password.
        is_active: False shuts somebody out, from the next request on.
        roles: names of roles. Change them with `Accounts.grant` and `revoke`, which lock the
            row: two administrators who each write a list could undo one another.
        credentials_version: grows when what was signed in before must not be any more.
    """

    __tablename__ = "users"

    email: Mapped[str] = column(max_length=254, unique=True)
    username: Mapped[str | None] = column(max_length=150, unique=True)
    password_hash: Mapped[str | None] = column(max_length=255)
    is_active: Mapped[bool] = column(default=True)
    roles: Mapped[list[str]] = column(default=list)
    credentials_version: Mapped[int] = column(default=0)
    password_changed_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = column(default=utc_now)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id}>"
