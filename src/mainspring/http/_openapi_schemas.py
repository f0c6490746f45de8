"""Types as JSON Schema, named once and referred to.

Source: OpenAPI 3.1.1, section 4.8.24 (Schema Object); JSON Schema draft 2020-12.
"""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Annotated, Any, Final, get_args, get_origin

import msgspec

from mainspring.http._signature import without_none
from mainspring.http._upload import Upload

if TYPE_CHECKING:
    from collections.abc import Mapping

Schema = dict[str, Any]

_TEMPLATE: Final = "#/components/schemas/{name}"
# A name in a docstring's section: `name: what it is`, and deeper lines that go on.
_ENTRY: Final = re.compile(r"^(\w+)(?: \([^)]*\))?: (.*)")


class Schemas:
    """The schemas of one document.

    `of` gives a dictionary that is still empty, because names are only given when all types
    are known; `components` fills them in.
    """

    def __init__(self) -> None:
        self._asked: list[tuple[Any, Schema]] = []

    def of(self, kind: Any) -> Schema:
        """The schema of a type, complete after `components`."""
        place: Schema = {}
        if _describable(kind):
            self._asked.append((kind, place))
        return place

    def components(self) -> dict[str, Schema]:
        """Every named type by its name; fills in what `of` gave."""
        kinds = [kind for kind, _ in self._asked]
        found, named = msgspec.json.schema_components(
            kinds, schema_hook=_custom, ref_template=_TEMPLATE
        )
        for (_, place), schema in zip(self._asked, found, strict=True):
            place.update(schema)
        for component in named.values():
            _describe_fields(component)
        return dict(sorted(named.items()))


def _describable(kind: Any) -> bool:
    try:
        msgspec.json.schema(kind, schema_hook=_custom)
    except TypeError:
        # The decoder or encoder of the route has said already if it cannot be served.
        return False
    return True


def _custom(kind: type) -> Schema:
    if kind is Upload:
        return {"type": "string", "contentMediaType": "application/octet-stream"}
    return {}


def sent_as_text(kind: Any) -> Any:
    """The type without None, which a query, header or cookie cannot hold."""
    if get_origin(kind) is Annotated:
        plain, *notes = get_args(kind)
        return Annotated[(without_none(plain), *notes)]
    return without_none(kind)


def plain_value(value: Any) -> Any:
    """A default as a document can hold it; None where it cannot."""
    try:
        return msgspec.to_builtins(value)
    except (TypeError, ValueError):
        return None


def _describe_fields(component: Schema) -> None:
    """Move what a docstring says of attributes to where they are."""
    text = component.get("description")
    if not text:
        return
    before, entries = split_docstring(text, "Attributes")
    properties: Mapping[str, Schema] = component.get("properties", {})
    for name, said in entries.items():
        if name in properties:
            properties[name].setdefault("description", said)
    component["description"] = before
    if not before or before.startswith(f"{component.get('title')}("):
        # Dataclasses without a docstring get their signature as one.
        del component["description"]


def split_docstring(text: str, section: str) -> tuple[str, dict[str, str]]:
    """A docstring up to its first section, and the entries of one of them.

    Args:
        text: with sections as Google's style has them.
        section: such as `Args`.
    """
    prose: list[str] = []
    entries: dict[str, str] = {}
    current, name = "", ""
    for line in inspect.cleandoc(text).splitlines():
        stripped = line.strip()
        if stripped.rstrip(":") in _SECTIONS and stripped.endswith(":") and not line[:1].isspace():
            current, name = stripped[:-1], ""
        elif not current:
            prose.append(line)
        elif current == section and (entry := _ENTRY.match(stripped)):
            name = entry[1]
            entries[name] = entry[2]
        elif name and stripped:
            entries[name] += f" {stripped}"
    return "\n".join(prose).strip(), entries


_SECTIONS: Final = frozenset({"Args", "Attributes", "Returns", "Raises", "Yields", "Source"})
