"""Which statements only read, so that they need no transaction around them.

The compiler says so while it compiles: it meets every part of a statement anyway, and what
it compiles is kept, so that nothing is looked at twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.sql.compiler import SQLCompiler

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import ExecutionContext

# Functions that do nothing but compute. Any other may lock, count up or write, and what it
# does must be undone with its unit.
_PURE = frozenset(
    """
    abs avg bool_and bool_or ceil ceiling char_length coalesce concat concat_ws count
    cume_dist current_date current_time current_timestamp date date_part date_trunc
    dense_rank every exp extract first_value floor greatest group_concat grouping ifnull
    instr json_agg json_array json_array_length json_extract json_object json_type
    json_value jsonb_agg jsonb_array_length jsonb_build_object lag last_value lead least
    left length ln localtime localtimestamp log lower lpad ltrim max md5 min mod now
    ntile nullif octet_length percent_rank position power rank regexp_replace replace
    right round row_number rpad rtrim sign similarity sqrt string_agg strftime strpos
    substr substring sum to_char to_tsquery to_tsvector total trim trunc ts_rank unaccent
    unnest upper
    """.split()  # noqa: SIM905  # a long list of words reads best as one text
)


class Noting(SQLCompiler):
    """A compiler that notes whether what it compiles does more than read.

    Attributes:
        only_reads: a SELECT that locks nothing, has no SQL text in it, and calls only
            functions that are known to compute and nothing else.
    """

    only_reads = True

    def visit_function(self, func: Any, *args: Any, **named: Any) -> Any:
        if func.name.lower() not in _PURE:
            self.only_reads = False
        return super().visit_function(func, *args, **named)

    def visit_textclause(self, textclause: Any, *args: Any, **named: Any) -> Any:
        self.only_reads = False
        return super().visit_textclause(  # type: ignore[no-untyped-call]
            textclause, *args, **named
        )

    def visit_column(self, column: Any, *args: Any, **named: Any) -> str:
        if column.is_literal:  # literal_column(): SQL as text under another name
            self.only_reads = False
        return super().visit_column(column, *args, **named)

    def visit_next_value_func(self, next_value: Any, **named: Any) -> Any:
        self.only_reads = False
        return super().visit_next_value_func(  # type: ignore[no-untyped-call]
            next_value, **named
        )

    def for_update_clause(self, select: Any, **named: Any) -> Any:
        self.only_reads = False
        return super().for_update_clause(select, **named)  # type: ignore[no-untyped-call]

    def visit_insert(self, *args: Any, **named: Any) -> Any:
        self.only_reads = False
        return super().visit_insert(*args, **named)  # type: ignore[no-untyped-call]

    def visit_update(self, *args: Any, **named: Any) -> Any:
        self.only_reads = False
        return super().visit_update(*args, **named)

    def visit_delete(self, *args: Any, **named: Any) -> Any:
        self.only_reads = False
        return super().visit_delete(*args, **named)  # type: ignore[no-untyped-call]


def only_reads(compiled: Any) -> bool:
    """Whether a compiled statement needs no transaction; False if that is not known."""
    return (
        isinstance(compiled, Noting)
        and compiled.only_reads
        and bool(getattr(compiled.statement, "is_select", False))
    )


def needs_transaction(context: ExecutionContext | None) -> bool:
    """Whether a statement that SQLAlchemy is about to send needs a transaction.

    A cursor of the server lives in one, so what is streamed does.
    """
    if context is None or getattr(context, "_is_server_side", True):
        return True
    return not only_reads(context.compiled)
