"""Signing up, signing in, profiles."""

from __future__ import annotations

from typing import Annotated

from conduit import views
from conduit.models import Follow, Member
from conduit.schemas import Login, NewUser, Profile, UserChanges, UserOut
from mainspring import Body, Created, Invalid, Router, Unauthorized, anyone, changes, signed_in
from mainspring.auth import Accounts, Tokens
from mainspring.data import Session, delete

router = Router(tags=["User and Authentication"])
profiles = Router("/profiles/{username}", tags=["Profile"])


def answer(user: Member, tokens: Tokens) -> dict[str, UserOut]:
    token = tokens.issue(user)
    return {"user": UserOut(user.email, token, user.username or "", user.bio, user.image)}


@router.post("/users", allow=anyone)
async def register(
    new: Annotated[NewUser, Body("user")], accounts: Accounts[Member], tokens: Tokens
) -> Created[dict[str, UserOut]]:
    user = await accounts.register(email=new.email, username=new.username, password=new.password)
    return Created(answer(user, tokens))


@router.post("/users/login", allow=anyone)
async def login(
    sent: Annotated[Login, Body("user")], accounts: Accounts[Member], tokens: Tokens
) -> dict[str, UserOut]:
    user = await accounts.authenticate(sent.email, sent.password)
    if user is None:
        raise Unauthorized("email or password is wrong", challenge="Token")
    return answer(user, tokens)


@router.get("/user", allow=signed_in)
async def current_user(user: Member, tokens: Tokens) -> dict[str, UserOut]:
    return answer(user, tokens)


@router.put("/user", allow=signed_in)
async def update_user(
    sent: Annotated[UserChanges, Body("user")],
    user: Member,
    accounts: Accounts[Member],
    tokens: Tokens,
) -> dict[str, UserOut]:
    fields = changes(sent)
    if not fields:
        raise Invalid("at least one field is required", pointer="#/user")
    return answer(await accounts.update(user, **fields), tokens)


@profiles.get("", allow=anyone)
async def get_profile(username: str, db: Session, viewer: Member | None) -> dict[str, Profile]:
    return {"profile": await views.profile(db, viewer, username)}


@profiles.post("/follow", allow=signed_in)
async def follow(username: str, db: Session, viewer: Member) -> dict[str, Profile]:
    member = await db.find(Member, username=username)
    if member.id == viewer.id:
        raise Invalid("you cannot follow yourself")
    await db.merge(Follow(follower_id=viewer.id, followed_id=member.id))
    return {"profile": await views.profile(db, viewer, username)}


@profiles.delete("/follow", allow=signed_in)
async def unfollow(username: str, db: Session, viewer: Member) -> dict[str, Profile]:
    member = await db.find(Member, username=username)
    mine = (Follow.follower_id == viewer.id, Follow.followed_id == member.id)
    await db.execute(delete(Follow).where(*mine))
    return {"profile": await views.profile(db, viewer, username)}
