"""Accounts from outside: what a client of an application sees, on every database."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import httpx
import pytest

from tests.auth.clients import JANE, bearing, client_of, registered, run_sql
from tests.auth.members import members


async def test_somebody_registers_logs_in_and_reads_who_they_are(client) -> None:
    jane = await registered(client, bio="winds watches")
    answer = await client.post(
        "/users/login", json={"email": "jane@example.ORG ", "password": JANE["password"]}
    )
    assert answer.status_code == 200
    token = answer.json()["token"]
    for sent in (token, jane["token"]):
        answer = await client.get("/me", headers=bearing(sent))
        assert answer.status_code == 200
        assert answer.json() == {
            "id": jane["id"], "email": "jane@example.org", "username": "jane",
            "bio": "winds watches", "roles": [], "token": "",
        }  # fmt: skip


async def test_the_same_address_in_another_case_is_taken(client) -> None:
    await registered(client)
    answer = await client.post(
        "/users", json={**JANE, "email": "jane@EXAMPLE.org", "username": "j"}
    )
    assert answer.status_code == 409
    assert answer.json()["errors"] == [{"detail": "is taken", "pointer": "#/email"}]
    answer = await client.post("/users", json={**JANE, "email": "j@example.org"})
    assert answer.status_code == 409
    assert answer.json()["errors"] == [{"detail": "is taken", "pointer": "#/username"}]


@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        ({"password": "short"}, "#/password"),
        ({"password": "x" * 1025}, "#/password"),
        ({"email": "nobody"}, "#/email"),
        ({"email": ""}, "#/email"),
        ({"username": "  "}, "#/username"),
        ({"username": "jane\u200b"}, "#/username"),
    ],
)
async def test_what_an_account_cannot_have_is_a_422_that_names_the_field(
    client, changed, pointer
) -> None:
    answer = await client.post("/users", json=JANE | changed)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_fields_that_only_the_server_sets_are_ignored_in_a_body(client) -> None:
    sent = {"id": 99, "is_active": False, "roles": ["admin"], "credentials_version": 7}
    jane = await registered(client, **sent, password_hash="x", user_id=99, role="admin")
    assert jane["id"] != 99
    assert jane["roles"] == []
    assert (await client.get("/me", headers=bearing(jane["token"]))).status_code == 200
    assert (await client.get("/desk", headers=bearing(jane["token"]))).status_code == 403


async def test_a_wrong_password_and_an_unknown_address_get_the_same_answer(client) -> None:
    await registered(client)
    wrong = {"email": JANE["email"], "password": "not the password"}
    unknown = {"email": "nobody@example.org", "password": "not the password"}
    answers = [await client.post("/users/login", json=sent) for sent in (wrong, unknown)]
    assert [answer.status_code for answer in answers] == [401, 401]
    bodies = [answer.json() for answer in answers]
    for body in bodies:
        del body["request_id"]
    assert bodies[0] == bodies[1]
    assert _without_varying(answers[0].headers) == _without_varying(answers[1].headers)


def _without_varying(headers) -> list[tuple[str, str]]:
    return [
        (name, value) for name, value in headers.items() if name not in {"date", "x-request-id"}
    ]


async def test_nobody_is_asked_for_credentials_in_the_scheme_of_the_application(client) -> None:
    for path in ("/me", "/who", "/desk", "/me-without-policy"):
        answer = await client.get(path)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Token"), path


async def test_bad_credentials_are_never_treated_as_none(client) -> None:
    for path in ("/me", "/maybe-me", "/maybe-who"):
        answer = await client.get(path, headers=bearing("x.y.z"))
        assert answer.status_code == 401, path
        assert answer.headers["www-authenticate"] == 'Token error="invalid_token"'


async def test_credentials_of_another_scheme_are_none(client) -> None:
    jane = await registered(client)
    answer = await client.get("/maybe-me", headers=bearing(jane["token"], "Bearer"))
    assert (answer.status_code, answer.json()) == (200, {"email": None})
    answer = await client.get("/maybe-me", headers=bearing(jane["token"], "tOKEN"))
    assert (answer.status_code, answer.json()) == (200, {"email": "jane@example.org"})


async def test_a_route_for_anyone_may_know_who_asks_and_does_without(client) -> None:
    jane = await registered(client)
    assert (await client.get("/maybe-me")).json() == {"email": None}
    assert (await client.get("/maybe-who")).json() == {"id": None}
    answer = await client.get("/maybe-who", headers=bearing(jane["token"]))
    assert answer.json() == {"id": jane["id"]}


async def test_the_user_is_the_same_under_the_name_of_the_frameworks_class(client) -> None:
    jane = await registered(client)
    answer = await client.get("/me-as-user", headers=bearing(jane["token"]))
    assert answer.json() == {"email": "jane@example.org", "type": "Member"}


async def test_a_handler_changes_the_user_that_it_was_given(client) -> None:
    jane = await registered(client)
    answer = await client.put("/me", json={"bio": "mends clocks"}, headers=bearing(jane["token"]))
    assert answer.json()["bio"] == "mends clocks"
    answer = await client.get("/me", headers=bearing(jane["token"]))
    assert answer.json()["bio"] == "mends clocks"


async def test_a_row_refers_to_the_user_who_wrote_it(client) -> None:
    jane = await registered(client)
    answer = await client.post("/essays", headers=bearing(jane["token"]))
    assert answer.status_code == 201
    assert answer.json()["author"] == jane["id"]


async def test_a_deactivated_user_is_refused_at_once(client, database) -> None:
    jane = await registered(client)
    assert (await client.get("/me", headers=bearing(jane["token"]))).status_code == 200
    await run_sql(
        database, "UPDATE users SET is_active = :no WHERE id = :id", no=False, id=jane["id"]
    )
    for path in ("/me", "/maybe-me", "/who"):
        answer = await client.get(path, headers=bearing(jane["token"]))
        assert answer.status_code == 401, path
        assert answer.headers["www-authenticate"] == 'Token error="invalid_token"'
    answer = await client.post("/users/login", json=JANE)
    assert answer.status_code == 401


async def test_a_deleted_user_is_refused_at_once(client, database) -> None:
    jane = await registered(client)
    await run_sql(database, "DELETE FROM users WHERE id = :id", id=jane["id"])
    assert (await client.get("/me", headers=bearing(jane["token"]))).status_code == 401


async def test_a_role_opens_a_route_from_the_next_request_on_and_closes_it_again(
    client, database, accounts_in
) -> None:
    jane = await registered(client)
    token = bearing(jane["token"])
    assert (await client.get("/desk", headers=token)).status_code == 403
    async with database.unit() as db:
        await accounts_in(db).grant(jane["id"], "editor")
    assert (await client.get("/desk", headers=token)).json() == {"for": "editors"}
    async with database.unit() as db:
        await accounts_in(db).revoke(jane["id"], "editor")
    assert (await client.get("/desk", headers=token)).status_code == 403


async def test_a_policy_of_ones_own_decides_about_the_principal(client) -> None:
    for name in ("jane", "joan"):
        someone = await registered(client, email=f"{name}@example.org", username=name)
        answer = await client.get("/even", headers=bearing(someone["token"]))
        assert answer.status_code == (200 if someone["id"] % 2 == 0 else 403)
    assert (await client.get("/even")).status_code == 401


async def test_a_new_password_ends_what_was_signed_in_with_the_old_one(client) -> None:
    jane = await registered(client)
    old = bearing(jane["token"])
    answer = await client.put(
        "/me/password", json={"current": "not it at all", "new": "a spring in brass"}, headers=old
    )
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "#/current"
    answer = await client.put(
        "/me/password", json={"current": JANE["password"], "new": "a spring in brass"}, headers=old
    )
    assert answer.status_code == 200
    new = bearing(answer.json()["token"])
    assert (await client.get("/me", headers=old)).status_code == 401
    assert (await client.get("/me", headers=new)).status_code == 200
    assert (await client.post("/users/login", json=JANE)).status_code == 401
    answer = await client.post("/users/login", json=JANE | {"password": "a spring in brass"})
    assert answer.status_code == 200


async def test_an_application_without_its_own_user_has_accounts_too(database, database_url) -> None:
    app = members(database_url, proofs=None)
    async with client_of(app) as client:
        jane = await registered(client)
        answer = await client.get("/me", headers=bearing(jane["token"], "Bearer"))
        assert answer.status_code == 200


@asynccontextmanager
async def sending_slowly(client: httpx.AsyncClient, path: str, **options):
    """A request whose body does not end before the block does."""
    began, finish = asyncio.Event(), asyncio.Event()

    async def body():
        yield b'{"bio": '
        began.set()
        await finish.wait()
        yield b'"slow"}'

    sending = asyncio.create_task(client.put(path, content=body(), **options))
    await began.wait()
    try:
        yield sending
    finally:
        finish.set()
        await sending


async def test_who_sends_a_body_slowly_keeps_nobody_from_writing(client) -> None:
    """Who is asking is read before the body; if the unit of work began there, SQLite's one place
    to write would be taken until the last byte."""
    jane = await registered(client)
    headers = bearing(jane["token"]) | {"content-type": "application/json"}
    async with sending_slowly(client, "/me", headers=headers) as slow:
        await registered(client, email="joan@example.org", username="joan")
        assert not slow.done()
    assert slow.result().json()["bio"] == "slow"
