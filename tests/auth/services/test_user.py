"""One table for the framework's user and the application's, on every database."""

from __future__ import annotations

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import MetaData

from mainspring.auth import User
from mainspring.data import IntegrityError, foreign_key, select
from tests.auth.clients import TABLES
from tests.auth.members import Essay, Member


async def two_members(database) -> None:
    async with database.unit() as db:
        db.add_all([Member(email=f"{name}@example.org", bio=name) for name in ("jane", "joan")])


def test_the_subclass_shares_the_table() -> None:
    assert Member.__table__ is User.__table__
    assert {"email", "bio", "nickname"} <= set(User.__table__.columns.keys())


@pytest.mark.parametrize("kind", [User, Member])
def test_a_foreign_key_refers_to_the_one_table_by_either_name(kind) -> None:
    made = foreign_key(kind.id)
    [reference] = made.column.foreign_keys
    assert reference.column is User.__table__.c.id


async def test_every_row_is_a_member(database) -> None:
    await two_members(database)
    async with database.unit(write=False) as db:
        found = list(await db.scalars(select(Member).order_by(Member.id)))
        assert [(type(member), member.bio) for member in found] == [
            (Member, "jane"),
            (Member, "joan"),
        ]
        assert await db.scalar(select(Member.bio).where(User.email == "joan@example.org")) == "joan"


async def test_a_row_that_was_made_before_the_subclass_existed_is_a_member_too(database) -> None:
    async with database.unit() as db:
        await db.execute(User.__table__.insert().values(email="old@example.org", bio=""))
    async with database.unit(write=False) as db:
        assert (await db.scalars(select(Member))).one().email == "old@example.org"


async def test_both_names_in_one_session_see_one_row(database) -> None:
    await two_members(database)
    async with database.unit() as db:
        as_user = await db.get(User, (await db.find(Member, bio="jane")).id)
        as_member = await db.get(Member, as_user.id)
        as_member.bio = "changed"
        as_user.username = "changed too"
    async with database.unit(write=False) as db:
        found = await db.find(Member, email="jane@example.org")
        assert (found.bio, found.username) == ("changed", "changed too")


async def test_a_row_of_nobody_is_refused_by_the_database(database) -> None:
    unit = database.unit()
    unit.session.add(Essay(author_id=12345, title="On nothing"))
    with pytest.raises(IntegrityError):
        await unit.commit()


async def test_roles_are_a_list_that_notices_what_is_added(database) -> None:
    await two_members(database)
    async with database.unit() as db:
        jane = await db.find(Member, bio="jane")
        jane.roles.append("editor")
    async with database.unit(write=False) as db:
        assert (await db.find(Member, bio="jane")).roles == ["editor"]
        assert (await db.find(Member, bio="joan")).roles == []


async def test_a_migration_finds_the_tables_as_they_are_declared(database) -> None:
    wanted = MetaData(naming_convention=User.metadata.naming_convention)
    for table in TABLES:
        table.to_metadata(wanted)

    def differences(connection) -> list:
        options = {"include_name": _only_ours, "compare_type": True}
        return compare_metadata(MigrationContext.configure(connection, opts=options), wanted)

    async with database.unit() as db:
        connection = await db.connection()
        assert await connection.run_sync(differences) == []


def _only_ours(name, kind, _parents) -> bool:
    return kind != "table" or name in {table.name for table in TABLES}
