"""One statement that reads a relation for many objects, and where its rows belong."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import BinaryExpression, BooleanClauseList, ColumnElement, select, tuple_
from sqlalchemy import inspect as state_of
from sqlalchemy.orm import aliased, class_mapper
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.orm.context import _ORMCompileState
from sqlalchemy.sql import operators

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy import Select
    from sqlalchemy.orm import InstanceState, Mapper, RelationshipProperty, Session

    Relation = RelationshipProperty[Any]
    Key = tuple[Any, ...]
    Pairs = list[tuple[ColumnElement[Any], ColumnElement[Any]]]
    Held = list[tuple[InstanceState[Any], Any]]

_MOST_VALUES: Final = 16_384
"""PostgreSQL's protocol takes 32,767 parameters, SQLite 32,766, and lists are rounded up."""


@dataclass(frozen=True, slots=True)
class Batch:
    """How a relation is read for many objects.

    Attributes:
        relation: itself.
        local: attributes of an object that say which rows are its own.
        remote: what these are compared with.
        statement: gives the values of `remote`, then the related object.
        by_key: `remote` is the related object's primary key, so that it may be known already.
    """

    relation: Relation
    local: tuple[str, ...]
    remote: tuple[Any, ...]
    statement: Select[Any]
    by_key: bool


@cache
def batch_of(relation: Relation) -> Batch | None:
    """How to read a relation in batches; None for one that leads to an alias."""
    if relation.entity is not relation.mapper:
        return None
    pairs = _compared(relation)
    return _joined(relation) if pairs is None else _direct(relation, pairs)


def fill(session: Session, batch: Batch, held: Held) -> None:
    """Give each object its related ones."""
    _refresh(session, batch.local, held)
    wanted: dict[Key, Held] = defaultdict(list)
    for state, each in held:
        if state.dict.keys() >= {*batch.local}:
            wanted[tuple(state.dict[name] for name in batch.local)].append((state, each))
    found: dict[Key, list[Any]] = {}
    if batch.by_key:
        found = _known(session, batch.relation.mapper, wanted)
    asked = [key for key in wanted if key not in found and None not in key]
    statement = _with_options(batch, held)
    # Each level of a tree is one batch; only a loop over single objects is a loop.
    said = {"repeats": len(held) > 1}
    for keys in _portions(asked, len(batch.remote)):
        rows = session.execute(statement.where(_among(batch.remote, keys)), execution_options=said)
        for row in rows.unique():
            found.setdefault(tuple(row[:-1]), []).append(row[-1])
    for key, owners in wanted.items():
        _give(batch.relation, owners, found.get(key, []))


def _give(relation: Relation, owners: Held, related: list[Any]) -> None:
    for state, each in owners:
        if relation.key in state.dict:
            continue
        value = related if relation.uselist else next(iter(related), None)
        set_committed_value(each, relation.key, value)


def _compared(relation: Relation) -> Pairs | None:
    """Pairs of columns, if the relation is nothing but their equality."""
    condition = relation.primaryjoin
    parts = list(condition.clauses) if isinstance(condition, BooleanClauseList) else [condition]
    pairs = list(relation.local_remote_pairs or ())
    plain = all(isinstance(p, BinaryExpression) and p.operator is operators.eq for p in parts)
    if relation.secondary is not None or not plain or len(parts) != len(pairs):
        return None
    if any(remote not in relation.mapper.columns.values() for _, remote in pairs):
        return None
    return pairs


def _direct(relation: Relation, pairs: Pairs) -> Batch:
    target = relation.mapper
    order = {column: at for at, column in enumerate(target.primary_key)}
    by_key = {remote for _, remote in pairs} == {*order}
    if by_key:
        pairs = sorted(pairs, key=lambda pair: order[pair[1]])
    attributes = [
        getattr(target.class_, target.get_property_by_column(remote).key) for _, remote in pairs
    ]
    return Batch(
        relation,
        tuple(relation.parent.get_property_by_column(local).key for local, _ in pairs),
        tuple(attributes),
        _ordered(select(*attributes, target.class_), relation),
        by_key,
    )


def _joined(relation: Relation) -> Batch:
    """Over the owner's own table, for relations with a table between or a condition more."""
    owner = aliased(relation.parent.class_)
    names = tuple(
        relation.parent.get_property_by_column(column).key for column in relation.parent.primary_key
    )
    keys = tuple(getattr(owner, name) for name in names)
    statement = (
        select(*keys, relation.mapper.class_).select_from(owner).join(getattr(owner, relation.key))
    )
    return Batch(relation, names, keys, _ordered(statement, relation), by_key=False)


def _ordered(statement: Any, relation: Relation) -> Any:
    return statement.order_by(*relation.order_by) if relation.order_by else statement


def _with_options(batch: Batch, held: Held) -> Select[Any]:
    """The statement; what was said of the relation when its owners were read holds for it."""
    state = held[0][0] if held else None
    if state is None or not state.load_options:
        return batch.statement
    path = state.load_path[batch.relation]
    # As SQLAlchemy's own loaders do: the options are written from the owners' point of view.
    said = batch.statement.options(*state.load_options)
    said._compile_options = _ORMCompileState.default_compile_options + {"_current_path": path}  # noqa: SLF001
    return said


def _refresh(session: Session, names: Sequence[str], held: Held) -> None:
    """Read again, in one go, the objects that have forgotten what the relation hangs on."""
    stale: dict[Mapper[Any], dict[Key, InstanceState[Any]]] = defaultdict(dict)
    for state, _ in held:
        if not state.dict.keys() >= {*names} and state.key is not None:
            stale[state.mapper.base_mapper][state.key[1]] = state
    for mapper, states in stale.items():
        keys = mapper.primary_key
        for portion in _portions(list(states), len(keys)):
            session.execute(select(mapper.class_).where(_among(keys, portion))).unique().all()


def _known(session: Session, target: Mapper[Any], wanted: Iterable[Key]) -> dict[Key, list[Any]]:
    """What the session holds already, and what no row can be."""
    found: dict[Key, list[Any]] = {}
    for key in wanted:
        if None in key:
            found[key] = []
            continue
        each = session.identity_map.get(target.identity_key_from_primary_key(key))
        if each is not None and not state_of(each).expired:
            found[key] = [each] if class_mapper(type(each)).isa(target) else []
    return found


def _portions(keys: list[Key], width: int) -> Iterator[list[Key]]:
    """Lists of keys whose lengths are powers of two, so that few statements are prepared."""
    most = _MOST_VALUES // (1 << (width - 1).bit_length())
    for start in range(0, len(keys), most):
        part = keys[start : start + most]
        yield part + [part[-1]] * ((1 << (len(part) - 1).bit_length()) - len(part))


def _among(columns: Sequence[Any], keys: list[Key]) -> ColumnElement[bool]:
    if len(columns) == 1:
        found: ColumnElement[bool] = columns[0].in_([key[0] for key in keys])
        return found
    return tuple_(*columns).in_(keys)
