"""The database's clock as an expression: what several processes agree on without agreeing.

Milliseconds since 1970 as a whole number, so that no driver, column type or session setting
has a word in it and spans are added by plain arithmetic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from mainspring.data.types import Integer64

if TYPE_CHECKING:
    from datetime import timedelta

# When the statement began, and not "now": what may change within a statement cannot be looked
# up in an index.
_EXPRESSIONS = {
    "sqlite": "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
    "postgresql": "CAST(EXTRACT(EPOCH FROM statement_timestamp()) * 1000 AS BIGINT)",
    "mysql": "CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)",
    "mariadb": "CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)",
    "oracle": "ROUND((CAST(SYS_EXTRACT_UTC(SYSTIMESTAMP) AS DATE) - DATE '1970-01-01') * 86400000)",
}


class server_now(FunctionElement[int]):  # noqa: N801  # reads as the SQL function that it is
    """Now, by the database's clock, in milliseconds since 1970."""

    name = "server_now"
    type = Integer64()
    inherit_cache = True


@compiles(server_now)
def _compile(_element: server_now, compiler: Any, **_options: Any) -> str:
    return _EXPRESSIONS[compiler.dialect.name]


def milliseconds(span: timedelta) -> int:
    """The span as what is added to `server_now()`."""
    return round(span.total_seconds() * 1000)
