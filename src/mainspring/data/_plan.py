"""A statement compiled once: its text, its arguments, and what its rows become."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from sqlalchemy import Insert, Label, Select, inspect
from sqlalchemy.sql import visitors
from sqlalchemy.sql.selectable import Join

from mainspring.data._effects import only_reads
from mainspring.data._errors import HotStatementError
from mainspring.data._structs import Decoder, Shape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sqlalchemy import Executable
    from sqlalchemy.engine import Dialect

    Read = Callable[[Mapping[str, Any]], Any]

T = TypeVar("T")


class Plan(Generic[T]):
    """What is known of one statement on one kind of database.

    Attributes:
        only_reads: no transaction is needed for it.
        gives_rows: and not only a number of them.
        title: what one of them is called.
    """

    __slots__ = (
        "_columns",
        "_compiled",
        "_decoder",
        "_dialect",
        "_expands",
        "_literals",
        "_made",
        "_names",
        "_reads",
        "_shape",
        "gives_rows",
        "only_reads",
        "sql",
        "title",
    )

    def __init__(
        self,
        statement: Executable,
        dialect: Dialect,
        into: type[T] | None,
        *,
        columns: Iterable[str] | None = None,
        literals: Sequence[Any] = (),
    ) -> None:
        """Compile the statement.

        Args:
            statement: whose parameters are those of `bindparam`.
            dialect: of the database.
            into: see `Shape`.
            columns: which an INSERT or UPDATE takes by name, beside those that it sets.
            literals: parameters of values written into it that change from call to call.
        """
        self.title = _title(statement)
        statement, names = _columns_only(statement, into)
        if isinstance(statement, Insert) and not names:
            # Nobody asked for the new keys, so they are not fetched.
            statement = statement.inline()
        self._compiled = _compiled(statement, dialect, columns, keyed=bool(literals))
        self._dialect = dialect
        self.sql: str = self._compiled.string
        self.only_reads = only_reads(self._compiled)
        self.gives_rows = bool(names)
        self._columns = self._compiled._result_columns  # noqa: SLF001  # the types of a row
        self._shape: Shape[T] = Shape(into, names, _nullable(statement, self._columns))
        self._decoder: Decoder[T] | None = None
        self._expands = bool(
            self._compiled.post_compile_params or self._compiled.literal_execute_params
        )
        self._literals = _places(self._compiled, literals)
        self._names, self._made = _parameters(self._compiled, {*self._literals})
        self._reads = () if self._expands else tuple(map(self._read, self._compiled.positiontup))

    def values_in(self, literals: Sequence[Any]) -> dict[str, Any]:
        """The values of another statement that differs in nothing else."""
        return {key: literals[at].effective_value for key, at in self._literals.items()}

    def call(self, values: Mapping[str, Any]) -> tuple[str, tuple[Any, ...]]:
        """The text and the arguments for the driver.

        Raises:
            HotStatementError: a value is missing, or one is not asked for.
        """
        if not self._names.issuperset(values):
            raise HotStatementError(
                f"the statement has no parameter {', '.join(sorted({*values} - self._names))}",
                fix=f"it has {', '.join(sorted(self._names)) or 'none'}",
            )
        try:
            if self._expands:
                return self._expanded(values)
            return self.sql, tuple([read(values) for read in self._reads])
        except KeyError as exc:
            raise HotStatementError(
                f"the statement needs a value for {exc.args[0]}",
                fix=f"pass {exc.args[0]}=…, or give bindparam() a default",
            ) from None

    def decoder(self, codes: Sequence[Any] | None) -> Decoder[T]:
        """How rows become values.

        Args:
            codes: the driver's own types of the columns, for the first rows; None where the
                driver has none.
        """
        if self._decoder is None:
            kinds = codes or [None] * len(self._columns)
            self._decoder = self._shape.decoder(
                [
                    column.type._cached_result_processor(self._dialect, kind)  # noqa: SLF001  # see above
                    for column, kind in zip(self._columns, kinds, strict=True)
                ]
            )
        return self._decoder

    @property
    def knows_rows(self) -> bool:
        """Whether `decoder` can do without the driver's types."""
        return self._decoder is not None

    def _read(self, key: str) -> Read:
        process = self._compiled._bind_processors.get(key)  # noqa: SLF001  # values as the driver wants them
        made = self._made.get(key)
        if made is not None:
            return made if process is None else lambda values: process(made(values))
        if process is None:
            return lambda values: values[key]
        return lambda values: process(values[key])

    def _expanded(self, values: Mapping[str, Any]) -> tuple[str, tuple[Any, ...]]:
        """The same for `IN` with a list, whose text depends on its length."""
        compiled = self._compiled
        found = {
            key: made(values) if (made := self._made.get(key)) else values[key]
            for key in compiled.binds
        }
        state = compiled._process_parameters_for_postcompile(found)  # noqa: SLF001  # SQLAlchemy's own step
        processors = {**compiled._bind_processors, **state.processors}  # noqa: SLF001  # as above
        return state.statement, tuple(
            processors[key](found[key]) if key in processors else found[key]
            for key in state.positiontup
        )


def _columns_only(statement: Any, into: type[Any] | None) -> tuple[Any, list[str]]:
    """The statement with the columns of entities in place of entities, and their names."""
    described = _described(statement)
    if not any(_is_entity(column["expr"]) for column in described):
        return statement, [str(column["name"]) for column in described]
    if into is None or not isinstance(statement, Select):
        raise HotStatementError(
            "a hot statement reads columns, and this one reads whole entities",
            fix="say into which struct, and its fields choose the columns; or name the columns",
        )
    wanted = list(into.__struct_fields__)
    taken = {str(c["name"]) for c in described if not _is_entity(c["expr"])}
    columns: list[Any] = []
    names: list[str] = []
    for column in described:
        if not _is_entity(column["expr"]):
            columns.append(column["expr"])
            names.append(str(column["name"]))
            continue
        keys = inspect(column["expr"]).mapper.column_attrs.keys()
        for name in [name for name in wanted if name in keys and name not in taken]:
            columns.append(getattr(column["expr"], name))
            names.append(name)
            taken.add(name)
    return statement.with_only_columns(*columns, maintain_column_froms=True), names


def _described(statement: Any) -> list[dict[str, Any]]:
    if isinstance(statement, Select) or hasattr(statement, "column_descriptions"):
        return list(statement.column_descriptions)
    if getattr(statement, "_returning", None):
        return list(statement.returning_column_descriptions)
    return []


def _title(statement: Any) -> str:
    described = _described(statement)
    entity = described[0].get("entity") if described else None
    return str(getattr(entity, "__name__", "row")).lower()


def _is_entity(expression: Any) -> bool:
    found = inspect(expression, raiseerr=False)
    return bool(getattr(found, "is_mapper", False) or getattr(found, "is_aliased_class", False))


def _nullable(statement: Any, columns: Sequence[Any]) -> list[bool]:
    """Which columns may be NULL: those that say so, and all where a join may find nothing."""
    if _has_outer_join(statement):
        return [True] * len(columns)
    return [any(_says_null(one) for one in column.objects) for column in columns]


def _says_null(column: Any) -> bool:
    if isinstance(column, Label):
        return _says_null(column.element)
    return hasattr(column, "table") and getattr(column, "nullable", False) is True


def _has_outer_join(statement: Any) -> bool:
    for element in visitors.iterate(statement):
        if isinstance(element, Join) and (element.isouter or element.full):
            return True
        for _, _, _, flags in getattr(element, "_setup_joins", ()):
            if flags["isouter"] or flags["full"]:
                return True
    return False


def cache_key(statement: Any) -> Any:
    """What is the same for all statements that differ in nothing but values; None if unknown."""
    return statement._generate_cache_key()  # noqa: SLF001  # what SQLAlchemy's own cache uses


def _compiled(
    statement: Any, dialect: Dialect, columns: Iterable[str] | None, *, keyed: bool
) -> Any:
    options: dict[str, Any] = {}
    if columns is not None:
        options["column_keys"] = [*columns]
    if keyed:
        options["cache_key"] = cache_key(statement)  # to know its literals again
    return statement.compile(dialect=dialect, **options)


def _places(compiled: Any, literals: Sequence[Any]) -> dict[str, int]:
    """For each literal's parameter as it is compiled, its place among the literals."""
    if not literals:
        return {}
    place = {id(parameter): at for at, parameter in enumerate(literals)}
    match, _ = compiled._cache_key_bind_match  # noqa: SLF001  # a statement's own to the compiled ones
    return {
        compiled.bind_names[bound]: place[id(parameter)]
        for parameter in compiled.cache_key.bindparams
        for bound in match[parameter]
        if bound in compiled.bind_names
    }


def _parameters(compiled: Any, literals: set[str]) -> tuple[frozenset[str], dict[str, Read]]:
    """The names of what a caller gives, and how all other arguments are made."""
    names: set[str] = set(literals)
    made: dict[str, Read] = {}
    prefetched = {
        compiled._within_exec_param_key_getter(column): column  # noqa: SLF001  # SQLAlchemy's own names
        for column in (*compiled.insert_prefetch, *compiled.update_prefetch)
    }
    for key, parameter in compiled.binds.items():
        if key in literals:
            continue
        if key in prefetched:
            made[key] = _default(prefetched[key], update=bool(compiled.update_prefetch))
        elif parameter.required:
            names.add(key)
        elif parameter.unique:
            made[key] = _constant(parameter)
        else:
            names.add(key)
            made[key] = _optional(key, _constant(parameter))
    return frozenset(names), made


def _constant(parameter: Any) -> Read:
    if parameter.callable is not None:
        return lambda _: parameter.callable()
    value = parameter.value
    return lambda _: value


def _optional(key: str, otherwise: Read) -> Read:
    return lambda values: values[key] if key in values else otherwise(values)


def _default(column: Any, *, update: bool) -> Read:
    default = column.onupdate if update else column.default
    if default.is_scalar:
        return lambda _: default.arg
    if not default.is_callable or default.arg is default._fn:  # noqa: SLF001  # wrapped means: takes no context
        raise HotStatementError(
            f"the default of {column} looks at the other values of its row",
            fix="add such rows through the session",
        )
    return lambda _: default.arg(None)
