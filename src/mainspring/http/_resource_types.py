"""The structs of a resource, made from the columns of its model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, get_args

import msgspec
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy import String, Text

from mainspring.data.types import python_type
from mainspring.errors import suggestion
from mainspring.http._routing import RouteError
from mainspring.http._signature import is_struct

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Column

    from mainspring.data import Page


_INT64: Final = Meta(ge=-(2**63), le=2**63 - 1)


def new_struct(model: Any, write: Sequence[str] | type[msgspec.Struct]) -> type[msgspec.Struct]:
    """What makes a row: the writable fields, and nothing else."""
    if isinstance(write, type):
        columns_of(model, (field.name for field in msgspec.structs.fields(write)))
        return write
    required: list[Any] = []
    optional: list[Any] = []
    for name, column in columns_of(model, write).items():
        kind = type_of(column)
        if column.nullable:
            optional.append((name, kind | None, None))
        elif column.default is not None or column.server_default is not None:
            optional.append((name, kind | UnsetType, UNSET))
        else:
            required.append((name, kind))
    return msgspec.defstruct(
        f"New{model.__name__}", [*required, *optional], forbid_unknown_fields=True
    )


def changes_struct(model: Any, new: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """The same fields, of which only those that are sent change."""
    fields = [(field.name, field.type | UnsetType, UNSET) for field in msgspec.structs.fields(new)]
    rename = {field.name: field.encode_name for field in msgspec.structs.fields(new)}
    return msgspec.defstruct(
        f"{model.__name__}Changes",
        fields,
        rename=rename,
        forbid_unknown_fields=True,
    )


def list_struct(
    model: Any, filters: Sequence[str], sorts: Sequence[str], page: type[Page]
) -> type[Page]:
    """What a list may be asked: the filters, the orders, the page."""
    fields: list[Any] = [
        (name, type_of(column) | None, None) for name, column in columns_of(model, filters).items()
    ]
    if sorts:
        columns_of(model, (each.removeprefix("-") for each in sorts))
        plain = [each.removeprefix("-") for each in sorts]
        allowed = (*plain, *(f"-{each}" for each in plain))
        fields.append(("sort", Literal[allowed], sorts[0]))
    made: Any = msgspec.defstruct(
        f"{model.__name__}List", fields, bases=(page,), kw_only=True, frozen=True
    )
    return made  # type: ignore[no-any-return]  # a class derived from the page's


def columns_of(model: Any, names: Iterable[str]) -> dict[str, Column[Any]]:
    """The columns of a model by the names of their attributes.

    Raises:
        RouteError: the model has no such column.
    """
    known = model.__mapper__.columns
    found: dict[str, Column[Any]] = {}
    for name in names:
        if name not in known:
            raise RouteError(
                f"{model.__name__} has no column {name!r}",
                fix=suggestion(name, known.keys()) or f"name one of {', '.join(known.keys())}",
            )
        found[name] = known[name]
    return found


def type_of(column: Column[Any]) -> Any:
    """The type of a column's values, with the length that it has."""
    kind = python_type(column.type)
    of = column.type
    if isinstance(of, String) and not isinstance(of, Text) and of.length:
        return Annotated[kind, Meta(max_length=of.length)]
    if kind is int:
        return Annotated[kind, _INT64]
    return kind


def nested(model: Any, out: Any) -> list[Any]:
    """The relations that an output struct shows, in the order in which they are loaded."""
    found: dict[str, Any] = {}

    def walk(kind: Any, struct: Any) -> None:
        for field in msgspec.structs.fields(struct):
            relation = kind.__mapper__.relationships.get(field.name)
            key = f"{kind.__name__}.{field.name}"
            if relation is None or key in found:
                continue
            found[key] = getattr(kind, field.name)
            inner = next(
                (part for part in (field.type, *_parts(field.type)) if is_struct(part)), None
            )
            if inner is not None:
                walk(relation.mapper.class_, inner)

    walk(model, out)
    return list(found.values())


def _parts(kind: Any) -> list[Any]:
    return [found for part in get_args(kind) for found in (part, *_parts(part))]
