"""Values that came as text, as the types that a handler wants: queries, headers, forms."""

from __future__ import annotations

from decimal import Decimal
from math import isfinite
from typing import TYPE_CHECKING, Any, Final, NamedTuple, get_args, get_origin

import msgspec

from mainspring.http._explain import readable, violations
from mainspring.http._problem import Violation
from mainspring.http._routing import RouteError
from mainspring.http._signature import unwrap, without_none

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_COLLECTIONS: Final = frozenset({list, tuple, set, frozenset})
_NOT_FINITE: Final = "must be a finite number"


class Slot(NamedTuple):
    """What one name takes.

    Attributes:
        kind: the type of one value.
        many: it takes a list of them.
        text: one value may be any text, the empty one included.
    """

    kind: Any
    many: bool
    text: bool


def slot(kind: Any) -> Slot:
    """What a name of this type takes: constraints and `None` are looked through."""
    plain = _bare(kind)
    many = plain in _COLLECTIONS or get_origin(plain) in _COLLECTIONS
    item = _bare((get_args(plain) or (Any,))[0]) if many else plain
    return Slot(item, many, item in {str, bytes, Any} or str in get_args(item))


def _bare(kind: Any) -> Any:
    return unwrap(without_none(unwrap(kind)[0]))[0]


def converter(kind: Any) -> Callable[[Any], Any]:
    """What makes a `kind` of the text or texts that were sent.

    The function raises `ValueError` if they are none, or not finite; `readable` makes a
    sentence of it.
    """
    # A constrained type is looked up by a hash that is computed in Python each time; a
    # struct around it by its address.
    box: Any = msgspec.defstruct("Box", [("value", kind)], array_like=True)

    def convert(sent: Any) -> Any:
        value = msgspec.convert((sent,), box, strict=False).value
        if not finite(value):
            raise ValueError(_NOT_FINITE)
        return value

    return convert


def finite(value: Any) -> bool:
    """Whether a value is a number that bounds can judge, or no number at all."""
    # `inf` and `nan` are numbers to Python, and no bound such as `le=100` refuses a NaN.
    if type(value) is float:
        return isfinite(value)
    if type(value) is Decimal:
        return value.is_finite()
    return type(value) not in _COLLECTIONS or all(map(finite, value))


class TextStruct:
    """Reads a struct from names with lists of texts.

    Raises:
        RouteError: the type is no struct.

    A name that takes one value is refused when it comes twice (OWASP ASVS 5.0, 15.3.7: what
    picks the first and what picks the last must not disagree).
    """

    def __init__(self, kind: Any) -> None:
        origin = get_origin(kind) or kind
        if not (isinstance(origin, type) and issubclass(origin, msgspec.Struct)):
            raise RouteError(
                f"a form or a query is read into a Struct, not into {kind!r}",
                fix="make it a Struct, or take each value as a parameter of its own",
            )
        self.kind = kind
        self.slots = {field.encode_name: slot(field.type) for field in msgspec.structs.fields(kind)}

    def read(
        self,
        values: Mapping[str, Sequence[Any]],
        *,
        prepare: Callable[[Slot, Any], Any] = lambda _, text: text,
        absent: Callable[[Slot, Any], bool] = lambda _, __: False,
    ) -> Any:
        """The struct.

        Args:
            values: what was sent.
            prepare: a text as `msgspec.convert` shall see it.
            absent: whether a text says that there is none.

        Raises:
            Wrong: with everything that is.
        """
        found: list[Violation] = []
        sent: dict[str, Any] = {}
        for name, texts in values.items():
            taken = self.slots.get(name)
            if taken is None:
                sent[name] = list(texts)  # the struct decides about names that it lacks
                continue
            given = [prepare(taken, text) for text in texts if not absent(taken, text)]
            if taken.many:
                sent[name] = given
            elif len(given) > 1:
                found.append(Violation("is given more than once", pointer=f"#/{name}"))
            elif given:
                sent[name] = given[0]
        return self._converted(sent, found)

    def _converted(self, sent: dict[str, Any], found: list[Violation]) -> Any:
        repeated = {violation.pointer for violation in found}
        try:
            value = msgspec.convert(sent, self.kind, strict=False)
        except (msgspec.ValidationError, ValueError) as exc:
            wrong = violations(sent, self.kind, strict=False)
            wrong = wrong or [Violation(readable(exc), pointer="#")]
            raise Wrong(found + [v for v in wrong if v.pointer not in repeated]) from None
        found += [
            Violation(_NOT_FINITE, pointer=f"#/{field.encode_name}")
            for field in msgspec.structs.fields(self.kind)
            if not finite(getattr(value, field.name))
        ]
        if found:
            raise Wrong(found)
        return value


class Wrong(Exception):
    """Parts of a request that cannot be read; becomes an `Invalid` in the binding."""

    def __init__(self, found: list[Violation]) -> None:
        super().__init__(found)
        self.found = found
