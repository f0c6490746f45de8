"""How Alembic looks at a schema: the same options for writing a migration and for running it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

from alembic.autogenerate import render_python_code

from mainspring.data import types
from mainspring.migrations._transaction import changes_roll_back

if TYPE_CHECKING:
    from alembic.autogenerate.api import AutogenContext
    from alembic.operations.ops import DowngradeOps, UpgradeOps
    from sqlalchemy import MetaData
    from sqlalchemy.engine import Connection

_TYPES_IMPORT = "from mainspring.data import types"
_OUR_TYPE = re.compile(r"\btypes\.[A-Z]")
_DIALECT = re.compile(r"\b(postgresql|mysql|sqlite)\.[A-Z]")


def options(connection: Connection, metadata: MetaData | None = None) -> dict[str, Any]:
    """Options of Alembic's migration context.

    Batches work on every database, and on SQLite nothing else does. SQLite's schema changes
    belong to the transaction because our driver begins it.
    """
    return {
        "connection": connection,
        "target_metadata": metadata,
        "compare_type": True,
        "compare_server_default": True,
        "render_as_batch": True,
        "transactional_ddl": changes_roll_back(connection),
    }


def render(operations: UpgradeOps | DowngradeOps) -> str:
    """The operations as Python."""
    return render_python_code(
        operations, render_as_batch=True, render_item=_render_type, user_module_prefix="types."
    )


def imports_of(code: str) -> set[str]:
    """The import statements that rendered code needs besides `sa` and `op`."""
    found = {f"from sqlalchemy.dialects import {name}" for name in _DIALECT.findall(code)}
    return found | ({_TYPES_IMPORT} if _OUR_TYPE.search(code) else set())


def _render_type(kind: str, item: Any, context: AutogenContext) -> str | Literal[False]:
    del context
    if kind == "type" and type(item).__module__ == types.__name__:
        return f"types.{type(item).__name__}()"
    return False
