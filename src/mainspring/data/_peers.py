"""Relations of a result: loaded for all of its objects at once, whoever is asked first.

The objects that one statement has read are peers. The first of them that is asked for a
relation that nobody loaded has it loaded for all of them, with one statement. Peers are not
remembered anywhere: SQLAlchemy marks each object with the number of the result that it came
with, and its identity map holds them weakly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import event
from sqlalchemy import inspect as state_of
from sqlalchemy.orm import Mapper, RelationshipProperty, object_session
from sqlalchemy.orm.attributes import QueryableAttribute
from sqlalchemy.orm.base import LoaderCallableStatus, PassiveFlag
from sqlalchemy.util.concurrency import in_greenlet

from mainspring.data._errors import ModelError, RelationNotLoaded
from mainspring.data._relations import batch_of, fill

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sqlalchemy.orm import InstanceState, Session

    Relation = RelationshipProperty[Any]

MOST_PEERS: Final = 16_384
"""So many objects are asked for at once, so that one access never reads a table of millions."""


def watch_models(root: type[Any]) -> None:
    """Load in batches what the models below a class would load one by one."""

    def configured() -> None:
        for mapper in _mappers(root):
            for relation in mapper.relationships:
                _wrap(mapper, relation)

    event.listen(Mapper, "after_configured", configured)


def _mappers(kind: type[Any]) -> Iterator[Mapper[Any]]:
    for each in kind.__subclasses__():
        mapper = vars(each).get("__mapper__")
        if mapper is not None and mapper.configured:
            yield mapper
        yield from _mappers(each)


def load_relations(
    session: Session, objects: list[Any], relations: Iterable[QueryableAttribute[Any]]
) -> None:
    """Load the relations in order, each for the objects given and those reached so far.

    Raises:
        ModelError: one of them is no relation.
        RelationNotLoaded: an object belongs to another session, or to none.
    """
    reached = {id(each): each for each in objects}
    for each in objects:
        if object_session(each) is not session:
            raise RelationNotLoaded(
                f"a {type(each).__name__} is not an object of this session",
                fix="load its relations in the unit of work that has read it",
            )
    for attribute in relations:
        relation = _relation(attribute)
        states = [state_of(each) for each in reached.values()]
        having = [state for state in states if state.mapper.isa(attribute.parent.mapper)]
        _load(session, relation, [state for state in having if relation.key not in state.dict])
        for state in having:
            for related in _values(relation, state):
                reached[id(related)] = related


def _relation(attribute: Any) -> Relation:
    found = getattr(attribute, "property", None)
    if isinstance(attribute, QueryableAttribute) and isinstance(found, RelationshipProperty):
        return found
    raise ModelError(
        f"{attribute} is not a relation of a model", fix="name one, such as Book.author"
    )


def _values(relation: Relation, state: InstanceState[Any]) -> list[Any]:
    value = state.dict.get(relation.key)
    if value is None:
        return []
    if not relation.uselist:
        return [value]
    return list(value.values() if isinstance(value, dict) else value)


def _wrap(mapper: Mapper[Any], relation: Relation) -> None:
    implementation = mapper.class_manager[relation.key].impl
    load = getattr(implementation, "callable_", None)
    if relation.lazy in {"select", True} and load is not None and not isinstance(load, _Together):
        implementation.callable_ = _Together(relation, load)


class _Together:
    """What SQLAlchemy calls when a relation is asked for that is not loaded."""

    __slots__ = ("_alone", "_relation")

    def __init__(self, relation: Relation, alone: Callable[..., Any]) -> None:
        self._relation = relation
        self._alone = alone

    def __call__(
        self, state: InstanceState[Any], passive: PassiveFlag, *more: Any, **named: Any
    ) -> Any:
        session = state.session
        # Whatever is not a plain look at an object's attribute is SQLAlchemy's own business.
        if (
            passive is not PassiveFlag.PASSIVE_OFF
            or more
            or named
            or session is None
            or state.key is None
            or not getattr(session, "loads_together", False)
        ):
            return self._alone(state, passive, *more, **named)
        known = self._alone(state, passive & ~PassiveFlag.SQL_OK)
        if known is not LoaderCallableStatus.PASSIVE_NO_RESULT:
            return known
        if not in_greenlet():
            raise _not_loaded(state, self._relation)
        if batch_of(self._relation) is None:
            return self._alone(state, passive)
        _load(session, self._relation, _peers(session, state, self._relation))
        if self._relation.key in state.dict:
            return LoaderCallableStatus.ATTR_WAS_SET
        return self._alone(state, passive)


def _not_loaded(state: InstanceState[Any], relation: Relation) -> RelationNotLoaded:
    model, name = state.class_.__name__, relation.key
    return RelationNotLoaded(
        f"{model}.{name} has not been loaded, and reading it would wait for the database",
        fix=f"await db.load(objects, {model}.{name}), or await object.awaitable_attrs.{name}",
    )


def _peers(
    session: Session, state: InstanceState[Any], relation: Relation
) -> list[InstanceState[Any]]:
    """The state, and those of the same result that lack the relation too."""
    key, run, parent = relation.key, state.runid, relation.parent
    found = [
        other
        for other in session.identity_map.all_states()
        if other.runid == run
        and other is not state
        and key not in other.dict
        and other.mapper.isa(parent)
        and other.load_options == state.load_options
    ]
    return [state, *found[: MOST_PEERS - 1]]


def _load(session: Session, relation: Relation, states: list[InstanceState[Any]]) -> None:
    batch = batch_of(relation)
    if batch is None:
        # A relation to an alias or over a query of its own: SQLAlchemy loads each.
        for state in states:
            getattr(state.obj(), relation.key)
        return
    # The objects are held, so that none of them goes while the others are waited for.
    held = [(state, state.obj()) for state in states]
    fill(session, batch, [(state, each) for state, each in held if each is not None])
