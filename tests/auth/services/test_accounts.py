from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from mainspring import telemetry
from mainspring.auth import (
    ADMIN,
    Cost,
    HashingBusy,
    Match,
    Passwords,
    Taken,
    Unacceptable,
)
from mainspring.data import IntegrityError, Session
from tests.auth.clients import run_sql
from tests.auth.members import Member

SECRET = "a spring in steel"


@pytest.fixture
def work():
    """The passwords that were hashed and verified, in order."""
    seen: list[str] = []

    def note(event: telemetry.Event) -> None:
        if event.name == "auth.hashed":
            seen.append(event.facts["work"])

    unsubscribe = telemetry.subscribe(note)
    yield seen
    unsubscribe()


async def join(database, accounts_in, name: str = "jane", **extra) -> Member:
    async with database.unit() as db:
        return await accounts_in(db).register(
            email=f"{name}@example.org", password=SECRET, username=name, **extra
        )


async def signs_in(database, accounts_in, password: str, email="jane@example.org") -> bool:
    async with database.unit() as db:
        return await accounts_in(db).authenticate(email, password) is not None


async def test_a_new_account_has_an_id_and_every_default(database, accounts_in) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    jane = await join(database, accounts_in, bio="winds watches")
    async with database.unit(write=False) as db:
        found = await db.get(Member, jane.id)
    assert type(found) is Member
    assert (found.email, found.username, found.bio) == ("jane@example.org", "jane", "winds watches")
    assert (found.is_active, found.roles, found.credentials_version) == (True, [], 0)
    assert before < found.created_at < datetime.now(UTC) + timedelta(seconds=1)
    assert found.password_hash.startswith("$argon2id$")
    assert SECRET not in repr(found)


async def test_an_account_that_is_taken_leaves_the_unit_usable(database, accounts_in) -> None:
    await join(database, accounts_in)
    async with database.unit() as db:
        accounts = accounts_in(db)
        with pytest.raises(Taken) as caught:
            await accounts.register(email="JANE@example.org", password=SECRET, username="joan")
        assert caught.value.field == "email"
        with pytest.raises(Taken) as caught:
            await accounts.register(email="joan@example.org", password=SECRET, username="jane")
        assert caught.value.field == "username"
        await accounts.register(email="joan@example.org", password=SECRET, username="joan")
    assert await signs_in(database, accounts_in, SECRET, "joan@example.org")


async def test_of_many_who_register_one_address_at_once_one_gets_it(database, accounts_in) -> None:
    async def attempt(number: int) -> str:
        try:
            async with database.unit() as db:
                await accounts_in(db).register(
                    email="jane@example.org", password=SECRET, username=f"jane{number}"
                )
        except Taken as taken:
            return taken.field
        return "mine"

    found = await asyncio.gather(*(attempt(number) for number in range(8)))
    assert sorted(found) == ["email"] * 7 + ["mine"]


async def test_two_accounts_may_have_no_user_name(database, accounts_in) -> None:
    for name in ("jane", "joan"):
        async with database.unit() as db:
            await accounts_in(db).register(email=f"{name}@example.org", password=SECRET)


@pytest.mark.parametrize(
    "field",
    [
        "id",
        "password_hash",
        "is_active",
        "roles",
        "credentials_version",
        "password_changed_at",
        "created_at",
    ],
)
async def test_what_only_the_server_sets_is_refused(database, accounts_in, field) -> None:
    with pytest.raises(Unacceptable) as caught:
        await join(database, accounts_in, **{field: None})
    assert caught.value.field == field
    jane = await join(database, accounts_in)
    async with database.unit() as db:
        with pytest.raises(Unacceptable):
            await accounts_in(db).update(jane, **{field: None})


async def test_nobody_is_registered_when_the_unit_rolls_back(database, accounts_in) -> None:
    unit = database.unit()
    await accounts_in(unit.session).register(email="jane@example.org", password=SECRET)
    await unit.rollback()
    assert not await signs_in(database, accounts_in, SECRET)


async def test_a_superuser_has_the_role_of_those_who_may_do_everything(
    database, accounts_in
) -> None:
    async with database.unit() as db:
        root = await accounts_in(db).create_superuser(email="root@example.org", password=SECRET)
    assert root.roles == [ADMIN]


async def test_every_login_that_fails_does_the_same_work(database, accounts_in, work) -> None:
    """T42: what the time of an answer could tell is the work that was done for it."""
    for name in ("jane", "gone", "bare"):
        await join(database, accounts_in, name)
    await run_sql(database, "UPDATE users SET is_active = :no WHERE username = 'gone'", no=False)
    await run_sql(database, "UPDATE users SET password_hash = NULL WHERE username = 'bare'")
    statements: list[int] = []
    for email, password in [
        ("jane@example.org", "wrong password"),
        ("nobody@example.org", "wrong password"),
        ("nobody@example.org", SECRET),
        ("gone@example.org", SECRET),
        ("gone@example.org", "wrong password"),
        ("bare@example.org", SECRET),
        ("not an address", SECRET),
    ]:
        work.clear()
        assert not await signs_in(database, accounts_in, password, email)
        assert work == ["verify"], email
    assert not statements


async def test_a_login_with_the_right_password_is_the_user(database, accounts_in) -> None:
    jane = await join(database, accounts_in)
    async with database.unit() as db:
        found = await accounts_in(db).authenticate(" Jane@Example.ORG", SECRET)
        assert found in db
        assert found.id == jane.id


async def test_an_outdated_hash_is_made_anew_at_login(database, accounts_in, work) -> None:
    await join(database, accounts_in)
    async with Passwords(cost=Cost(memory_kib=128, passes=1)) as dearer:
        async with database.unit() as db:
            found = await accounts_in(db, dearer).authenticate("jane@example.org", SECRET)
            old = found.password_hash
        assert work == ["hash", "verify", "hash"]
        async with database.unit() as db:
            found = await accounts_in(db, dearer).authenticate("jane@example.org", SECRET)
        assert found.password_hash == old
        assert await dearer.verify(SECRET, found.password_hash) == Match(outdated=False)
    assert work[3:] == ["verify", "verify"]
    assert found.credentials_version == 0


async def test_a_password_from_before_the_rule_on_length_still_signs_in(
    database, accounts_in, passwords
) -> None:
    jane = await join(database, accounts_in)
    async with Passwords(cost=Cost(memory_kib=128, passes=1), min_length=1) as lenient:
        await run_sql(
            database, "UPDATE users SET password_hash = :h WHERE id = :id",
            h=await lenient.hash("short"), id=jane.id,
        )  # fmt: skip
    assert await signs_in(database, accounts_in, "short")
    assert await signs_in(database, accounts_in, "short")


async def test_a_login_is_not_refused_because_its_hash_cannot_be_made_anew(
    database, accounts_in, monkeypatch
) -> None:
    await join(database, accounts_in)
    async with Passwords(cost=Cost(memory_kib=128, passes=1)) as dearer:

        async def busy(_text: str) -> str:
            raise HashingBusy(9)

        monkeypatch.setattr(dearer, "rehash", busy)
        async with database.unit() as db:
            assert await accounts_in(db, dearer).authenticate("jane@example.org", SECRET)


@pytest.mark.parametrize(
    "change", ["is_active = (1 = 0)", "password_hash = NULL", "password_hash = '$argon2id$x'"]
)
async def test_who_is_shut_out_while_the_password_is_verified_stays_out(
    database, accounts_in, passwords, monkeypatch, change
) -> None:
    await join(database, accounts_in)
    real = passwords.verify

    async def meanwhile(text: str, stored: str | None):
        found = await real(text, stored)
        await run_sql(database, f"UPDATE users SET {change}")
        return found

    monkeypatch.setattr(passwords, "verify", meanwhile)
    assert not await signs_in(database, accounts_in, SECRET)


async def test_no_transaction_is_open_while_a_password_is_hashed(
    database, accounts_in, passwords, monkeypatch
) -> None:
    """A writer that hashed inside would keep SQLite's one place to write for 30 ms."""
    jane = await join(database, accounts_in)
    open_while_hashing: list[bool] = []
    current: list[Session] = []

    def watched(function):
        async def call(*args):
            open_while_hashing.append(current[-1].in_transaction())
            return await function(*args)

        return call

    for name in ("hash", "verify"):
        monkeypatch.setattr(passwords, name, watched(getattr(passwords, name)))
    steps = [
        lambda accounts: accounts.register(email="joan@example.org", password=SECRET),
        lambda accounts: accounts.authenticate("jane@example.org", SECRET),
        lambda accounts: accounts.change_password(jane, current=SECRET, new="a spring in brass"),
        lambda accounts: accounts.set_password(jane, SECRET),
        lambda accounts: accounts.update(jane, password="a spring in brass"),
    ]
    for step in steps:
        async with database.unit() as db:
            current.append(db)
            await step(accounts_in(db))
    assert open_while_hashing == [False] * 6


async def test_a_changed_password_counts_and_the_old_one_does_not(database, accounts_in) -> None:
    jane = await join(database, accounts_in)
    async with database.unit() as db:
        changed = await accounts_in(db).change_password(jane, current=SECRET, new="spring in brass")
        assert (changed.id, changed.credentials_version) == (jane.id, 1)
    assert not await signs_in(database, accounts_in, SECRET)
    assert await signs_in(database, accounts_in, "spring in brass")


async def test_a_password_is_not_changed_by_who_does_not_know_it(database, accounts_in) -> None:
    jane = await join(database, accounts_in)
    async with database.unit() as db:
        with pytest.raises(Unacceptable) as caught:
            await accounts_in(db).change_password(jane, current="wrong", new="spring in brass")
    assert caught.value.field == "current"
    async with database.unit() as db:
        with pytest.raises(Unacceptable) as caught:
            await accounts_in(db).change_password(jane, current=SECRET, new="short")
    assert caught.value.field == "password"
    assert await signs_in(database, accounts_in, SECRET)


async def test_of_two_who_change_a_password_with_the_old_one_one_does(
    database, accounts_in
) -> None:
    jane = await join(database, accounts_in)

    async def change(new: str) -> str | None:
        async with database.unit(write=False) as db:
            mine = await db.get(Member, jane.id)
        try:
            async with database.unit() as db:
                await accounts_in(db).change_password(mine, current=SECRET, new=new)
        except Unacceptable:
            return None
        return new

    attempts = ["spring in brass", "spring in bronze"]
    changed = [new for new in await asyncio.gather(*map(change, attempts)) if new]
    assert len(changed) == 1
    for new in attempts:
        assert await signs_in(database, accounts_in, new) == (new in changed)


async def test_a_user_is_updated_and_only_in_what_is_given(database, accounts_in) -> None:
    jane = await join(database, accounts_in, bio="winds watches")
    async with database.unit() as db:
        await accounts_in(db).update(jane, email="JD@example.org", bio="mends clocks")
    async with database.unit(write=False) as db:
        found = await db.get(Member, jane.id)
    assert (found.email, found.username, found.bio) == ("jd@example.org", "jane", "mends clocks")
    assert await signs_in(database, accounts_in, SECRET, "jd@example.org")


async def test_an_update_cannot_take_what_another_account_has(database, accounts_in) -> None:
    await join(database, accounts_in)
    joan = await join(database, accounts_in, "joan")
    for field, value in (("email", "Jane@example.org"), ("username", "jane")):
        async with database.unit() as db:
            with pytest.raises(Taken) as caught:
                await accounts_in(db).update(
                    joan, bio="x", password="spring in brass", **{field: value}
                )
            assert caught.value.field == field
            assert (joan.email, joan.bio, joan.credentials_version) == ("joan@example.org", "", 0)
        async with database.unit(write=False) as db:
            joan = await db.get(Member, joan.id)
        assert (joan.email, joan.username) == ("joan@example.org", "joan")


async def test_an_update_names_the_field_that_is_taken_and_not_one_that_stays(
    database, accounts_in
) -> None:
    await join(database, accounts_in)
    joan = await join(database, accounts_in, "joan")
    async with database.unit() as db:
        with pytest.raises(Taken) as caught:
            await accounts_in(db).update(joan, email="joan@example.org", username="jane")
    assert caught.value.field == "username"


async def test_an_update_that_changes_nothing_is_not_taken_by_itself(database, accounts_in) -> None:
    jane = await join(database, accounts_in)
    async with database.unit() as db:
        await accounts_in(db).update(jane, email="jane@example.org", username="jane")


async def test_roles_that_two_administrators_change_at_once_are_all_changed(
    database, accounts_in
) -> None:
    jane = await join(database, accounts_in)

    async def grant(role: str) -> None:
        async with database.unit() as db:
            await accounts_in(db).grant(jane.id, role)

    roles = [f"role{number}" for number in range(6)]
    await asyncio.gather(*map(grant, roles))
    async with database.unit() as db:
        changed = await accounts_in(db).revoke(jane.id, "role3")
    assert changed.roles == [role for role in roles if role != "role3"]


async def test_a_role_is_given_once_and_taken_from_who_has_it_not(database, accounts_in) -> None:
    jane = await join(database, accounts_in)
    async with database.unit() as db:
        await accounts_in(db).grant(jane.id, "editor")
        again = await accounts_in(db).grant(jane.id, "editor")
        assert again.roles == ["editor"]
        assert (await accounts_in(db).revoke(jane.id, "chief")).roles == ["editor"]
        assert await accounts_in(db).grant(jane.id + 1000, "editor") is None


async def test_a_column_of_the_applications_own_is_not_called_taken(database, accounts_in) -> None:
    await join(database, accounts_in, nickname="jay")
    unit = database.unit()
    with pytest.raises(IntegrityError):
        await accounts_in(unit.session).register(
            email="joan@example.org", password=SECRET, nickname="jay"
        )
    await unit.rollback()
    joan = await join(database, accounts_in, "joan")
    unit = database.unit()
    with pytest.raises(IntegrityError):
        await accounts_in(unit.session).update(joan, nickname="jay")
    await unit.rollback()
