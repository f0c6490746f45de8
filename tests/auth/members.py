"""An application with accounts: columns of its own, and a route for each policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from mainspring.app import App
from mainspring.auth import (
    Accounts,
    Cost,
    JwtProof,
    Passwords,
    Policy,
    Principal,
    Tokens,
    User,
    anyone,
    role,
    signed_in,
)
from mainspring.data import Mapped, Model, Session, column, foreign_key
from mainspring.http import Created, Unauthorized
from mainspring.settings import Secret, Settings

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = "a key of the tests that is long enough to be one"
CHEAP = Cost(memory_kib=64, passes=1)
"""So that a test of behaviour does not wait for the cost, which has tests of its own."""


class Member(User):
    bio: Mapped[str] = column(max_length=500, default="")
    nickname: Mapped[str | None] = column(max_length=40, unique=True)


class Essay(Model):
    author_id: Mapped[int] = foreign_key(User.id)
    title: Mapped[str] = column(max_length=100)


class NewMember(Struct):
    email: str
    password: str
    username: str | None = None
    bio: str = ""


class LogIn(Struct):
    email: str
    password: str


class NewPassword(Struct):
    current: str
    new: str


class Profile(Struct):
    id: int
    email: str
    username: str | None
    bio: str
    roles: list[str]
    token: str = ""


class Bio(Struct):
    bio: str


def profile(user: Member, token: str = "") -> Profile:
    return Profile(user.id, user.email, user.username, user.bio, list(user.roles), token)


async def register(new: NewMember, accounts: Accounts[Member], tokens: Tokens) -> Created[Profile]:
    user = await accounts.register(
        email=new.email, password=new.password, username=new.username, bio=new.bio
    )
    return Created(profile(user, tokens.issue(user)))


async def log_in(sent: LogIn, accounts: Accounts[Member], tokens: Tokens) -> Profile:
    user = await accounts.authenticate(sent.email, sent.password)
    if user is None:
        raise Unauthorized("this address and password do not belong together", challenge="Token")
    return profile(user, tokens.issue(user))


async def me(user: Member) -> Profile:
    return profile(user)


async def me_as_user(user: User) -> dict[str, str]:
    return {"email": user.email, "type": type(user).__name__}


async def maybe_me(user: Member | None) -> dict[str, str | None]:
    return {"email": user.email if user else None}


async def describe(sent: Bio, user: Member) -> Profile:
    user.bio = sent.bio
    return profile(user)


async def who(principal: Principal) -> dict[str, int]:
    return {"id": principal.user_id}


async def maybe_who(principal: Principal | None) -> dict[str, int | None]:
    return {"id": principal.user_id if principal else None}


async def change_password(
    sent: NewPassword, principal: Principal, accounts: Accounts[Member], tokens: Tokens
) -> Profile:
    user = await accounts.change_password(principal.user, current=sent.current, new=sent.new)
    return profile(user, tokens.issue(user))


async def write_essay(user: Member, db: Session) -> Created[dict[str, int]]:
    essay = Essay(author_id=user.id, title="On springs")
    db.add(essay)
    await db.flush()
    return Created({"id": essay.id, "author": essay.author_id})


async def desk() -> dict[str, str]:
    return {"for": "editors"}


even = Policy("even", lambda principal: principal is not None and principal.user_id % 2 == 0)


def members(url: str, *, passwords: Callable[[], Passwords] | None = None, **options) -> App:
    """The application on a database, with every kind of route once."""
    settings = Settings(database_url=url, secret_key=Secret(KEY))
    options = {
        "user": Member,
        "proofs": [JwtProof(scheme="Token")],
        "settings": settings,
        **options,
    }
    app = App("members", **options)
    app.provide(Passwords, passwords or (lambda: Passwords(cost=CHEAP)))
    app.post("/users", allow=anyone)(register)
    app.post("/users/login", allow=anyone)(log_in)
    app.get("/me", allow=signed_in)(me)
    app.get("/me-as-user", allow=signed_in)(me_as_user)
    app.get("/me-without-policy", allow=anyone)(me)
    app.get("/maybe-me", allow=anyone)(maybe_me)
    app.put("/me", allow=signed_in)(describe)
    app.put("/me/password", allow=signed_in)(change_password)
    app.get("/who", allow=signed_in)(who)
    app.get("/maybe-who", allow=anyone)(maybe_who)
    app.post("/essays", allow=signed_in)(write_essay)
    app.get("/desk", allow=role("editor", "chief"))(desk)
    app.get("/even", allow=even)(desk)
    return app
