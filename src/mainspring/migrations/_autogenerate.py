"""Writing a migration: the difference between the models and the database, as a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alembic.autogenerate import produce_migrations
from alembic.operations.ops import DropIndexOp, DropTableOp, ModifyTableOps
from alembic.runtime.migration import MigrationContext

from mainspring.migrations._errors import NoChanges, UnappliedMigrations
from mainspring.migrations._folder import Folder
from mainspring.migrations._schema import imports_of, options, render

if TYPE_CHECKING:
    from pathlib import Path

    from alembic.operations.ops import OpContainer
    from sqlalchemy import MetaData
    from sqlalchemy.engine import Connection

    from mainspring.data import Database


async def makemigrations(
    database: Database, metadata: MetaData, folder: Path, message: str, *, empty: bool = False
) -> Path:
    """The file of a new migration that brings the database to what the models say.

    Args:
        database: an up-to-date database to compare with; nothing in it is changed.
        metadata: the models' tables, usually `Model.metadata`.
        folder: where the migrations are; made if it does not exist.
        message: what changes, in a few words; the file is named after it.
        empty: write a migration to be filled in by hand, whatever the difference.

    Raises:
        NoChanges: there is no difference.
        UnappliedMigrations: the database is behind the folder, so a comparison would repeat
            what the folder already does.
    """
    found = Folder(folder)

    def compare(connection: Connection) -> tuple[str, str]:
        with connection.begin():
            return _difference(connection, metadata, found)

    up, down = ("", "") if empty else await database.on_connection(compare)
    return found.write(message, imports=imports_of(up + down), upgrade=up, downgrade=down)


def _difference(connection: Connection, metadata: MetaData, folder: Folder) -> tuple[str, str]:
    context = MigrationContext.configure(connection, opts=options(connection, metadata))
    applied = context.get_current_revision()
    if applied != folder.head:
        raise UnappliedMigrations(
            f"the database is at {applied or 'the beginning'}, the folder at {folder.head}",
            fix="run `mainspring migrate` first",
        )
    script = produce_migrations(context, metadata)
    up, down = script.upgrade_ops, script.downgrade_ops
    if up is None or down is None or up.is_empty():
        raise NoChanges("the models and the database agree; no migration was written")
    _leave_indices_to_tables(up)
    _leave_indices_to_tables(down)
    return render(up), render(down)


def _leave_indices_to_tables(operations: OpContainer) -> None:
    """Drop no index of a table that is dropped: it goes too, and MySQL refuses to go first."""
    dropped = {step.table_name for step in operations.ops if isinstance(step, DropTableOp)}
    for step in operations.ops:
        if isinstance(step, ModifyTableOps) and step.table_name in dropped:
            step.ops = [inner for inner in step.ops if not isinstance(inner, DropIndexOp)]
    operations.ops = [
        step for step in operations.ops if not (isinstance(step, ModifyTableOps) and not step.ops)
    ]
