"""How an application is put together with its users: keys, proofs, what may be asked for."""

from __future__ import annotations

import asyncio
import threading

import pytest

from mainspring.app import App
from mainspring.auth import (
    BadCredentials,
    Claim,
    JwtProof,
    MissingSecretKey,
    Passwords,
    Tokens,
    User,
    anyone,
    signed_in,
)
from mainspring.settings import Secret, Settings
from tests.auth.clients import JANE, bearing, client_of, opened, registered
from tests.auth.members import CHEAP, KEY, Member, members


async def nothing() -> None: ...


async def issue(tokens: Tokens) -> str:
    return str(tokens)


async def maybe(user: User | None) -> str:
    return str(user)


@pytest.mark.parametrize(
    ("allow", "endpoint"), [(signed_in, nothing), (anyone, issue), (anyone, maybe)]
)
def test_without_a_key_a_route_that_needs_one_stops_the_start(allow, endpoint) -> None:
    app = App("shop", settings=Settings())
    app.get("/", allow=allow)(endpoint)
    with pytest.raises(MissingSecretKey, match="SECRET_KEY"):
        app.compile()


def test_without_a_key_an_application_without_accounts_starts() -> None:
    app = App("shop", settings=Settings())
    app.get("/", allow=anyone)(nothing)
    assert app.compile()


def test_in_development_a_key_is_made_up() -> None:
    app = App("shop", settings=Settings(debug=True))
    app.get("/", allow=signed_in)(nothing)
    assert app.compile()


async def test_what_the_previous_key_signed_is_still_accepted(sqlite_url) -> None:
    new = Secret("the key that replaces the one before it, and is as long")
    async with opened(sqlite_url):
        async with client_of(members(sqlite_url)) as client:
            old = (await registered(client))["token"]
        for previous, status in ((Secret(KEY), 200), (Secret(""), 401)):
            settings = Settings(
                database_url=sqlite_url, secret_key=new, secret_key_previous=previous
            )
            async with client_of(members(sqlite_url, settings=settings)) as client:
                assert (await client.get("/me", headers=bearing(old))).status_code == status


async def test_a_token_of_another_application_with_the_same_key_is_refused(sqlite_url) -> None:
    async with opened(sqlite_url):
        other = members(sqlite_url, proofs=[JwtProof(scheme="Token", issuer="other")])
        async with client_of(other) as client:
            token = (await registered(client))["token"]
            assert (await client.get("/me", headers=bearing(token))).status_code == 200
        async with client_of(members(sqlite_url)) as client:
            assert (await client.get("/me", headers=bearing(token))).status_code == 401


class PassProof:
    """Knows members by the number on their pass."""

    scheme = "Pass"

    async def read(self, credentials) -> Claim | None:
        sent = credentials.raw_headers.get(b"x-pass")
        if sent is None:
            return None
        if not sent.isdigit():
            raise BadCredentials("this is no pass", scheme=self.scheme)
        return Claim(user_id=int(sent), proof="pass")


class CookieProof:
    scheme = ""

    async def read(self, credentials) -> Claim | None:
        sent = credentials.cookies.get("member")
        return Claim(user_id=int(sent), proof="cookie") if sent else None


async def test_proofs_are_asked_in_order_and_the_first_that_recognises_something_decides(
    sqlite_url,
) -> None:
    proofs = [CookieProof(), PassProof(), JwtProof(scheme="Token")]
    async with opened(sqlite_url), client_of(members(sqlite_url, proofs=proofs)) as client:
        jane = await registered(client)
        joan = await registered(client, email="joan@example.org", username="joan")
        token, member = bearing(joan["token"]), {"x-pass": str(jane["id"])}
        assert (await client.get("/who", headers=token)).json() == {"id": joan["id"]}
        assert (await client.get("/who", headers=token | member)).json() == {"id": jane["id"]}
        cookie = {"cookie": f"member={joan['id']}"}
        assert (await client.get("/who", headers=member | cookie)).json() == {"id": joan["id"]}
        answer = await client.get("/who", headers=token | {"x-pass": "forged"})
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == 'Pass error="invalid_token"'
        assert (await client.get("/who", headers={"x-pass": "999"})).status_code == 401
        assert (await client.get("/who")).headers["www-authenticate"] == "Pass"


async def test_a_login_that_cannot_be_hashed_is_a_503_that_says_when_to_return(sqlite_url) -> None:
    inside, go_on = threading.Event(), threading.Event()

    class Slow(Passwords):
        def _matches(self, stored: str, password: bytes) -> bool:
            inside.set()
            assert go_on.wait(10)
            return super()._matches(stored, password)

    app = members(sqlite_url, passwords=lambda: Slow(cost=CHEAP, workers=1, queue=0))
    async with opened(sqlite_url), client_of(app) as client:
        await registered(client)
        first = asyncio.create_task(client.post("/users/login", json=JANE))
        assert await asyncio.to_thread(inside.wait, 5)
        answer = await client.post("/users/login", json=JANE)
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.json()["type"] == "auth.hashing-busy"
        go_on.set()
        assert (await first).status_code == 200


async def test_the_passwords_of_an_application_may_be_its_own(sqlite_url) -> None:
    app = members(sqlite_url, passwords=lambda: Passwords(cost=CHEAP, min_length=20))
    async with opened(sqlite_url), client_of(app) as client:
        answer = await client.post("/users", json=JANE)
        assert answer.status_code == 422
        assert "at least 20 characters" in answer.json()["errors"][0]["detail"]


def test_a_handler_may_name_the_user_by_any_class_up_to_the_frameworks() -> None:
    class Staff(Member):
        pass

    app = App("shop", user=Staff, settings=Settings(secret_key=Secret(KEY)))
    for path, kind in (("/staff", Staff), ("/member", Member), ("/user", User)):

        async def show(user) -> None: ...

        show.__annotations__["user"] = kind
        app.get(path, allow=signed_in)(show)
    assert app.compile()
