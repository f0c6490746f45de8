"""The commonest parameters, path and query, converted in one go.

One struct for all of them costs one call of the converter instead of one for each. It knows
only that something is wrong, not what; then the readers of the binding are asked one by one.
"""

from __future__ import annotations

from decimal import Decimal
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

import msgspec

from mainspring.http._request import query_pairs
from mainspring.http._signature import REQUIRED, is_struct
from mainspring.http._text import finite, slot

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mainspring.http._request import Request
    from mainspring.http._signature import Parameter

_MAY_BE_INFINITE: Final = (float, Decimal)
_PLAIN_DEFAULTS: Final = (str, int, float, bool, type(None))


class Mismatch(Exception):  # says nothing but that the slow way has to look
    """Some parameter is missing, wrong, or given twice."""


def convertible(parameters: Sequence[Parameter]) -> bool:
    """Whether the parameters are all of the path and the query, and simple enough."""
    return bool(parameters) and all(
        parameter.source in {"path", "query"}
        and not parameter.keyword
        and not (is_struct(parameter.plain) or slot(parameter.kind).many)
        and (parameter.default is REQUIRED or isinstance(parameter.default, _PLAIN_DEFAULTS))
        for parameter in parameters
    )


def compile_values(parameters: Sequence[Parameter]) -> Callable[[Request], tuple[Any, ...]]:
    """What reads all parameters of a request in order, or raises `Mismatch`."""
    box = msgspec.defstruct(
        "Values",
        [_field(f"p{at}", parameter) for at, parameter in enumerate(parameters)],
        kw_only=True,
    )
    names = [f"p{at}" for at in range(len(parameters))]
    values = attrgetter(*names) if len(names) > 1 else _one(names[0])
    captured = [(f"p{at}", p.name) for at, p in enumerate(parameters) if p.source == "path"]
    asked = {p.wire_name: f"p{at}" for at, p in enumerate(parameters) if p.source == "query"}

    def read(request: Request) -> tuple[Any, ...]:
        path = request.path_params
        sent: dict[str, Any] = {field: path[name] for field, name in captured}
        if asked and request.query_string:
            for name, _, text in query_pairs(request.query_string):
                field = asked.get(name)
                if field is not None:
                    if field in sent:
                        raise Mismatch
                    sent[field] = text
        try:
            found = values(msgspec.convert(sent, box, strict=False))
        except (msgspec.ValidationError, ValueError):
            raise Mismatch from None
        for value in found:
            if type(value) in _MAY_BE_INFINITE and not finite(value):
                raise Mismatch
        return found

    return read


def _field(name: str, parameter: Parameter) -> tuple[Any, ...]:
    if parameter.default is REQUIRED:
        return name, parameter.kind
    return name, parameter.kind, parameter.default


def _one(name: str) -> Callable[[Any], tuple[Any, ...]]:
    return lambda found: (getattr(found, name),)
