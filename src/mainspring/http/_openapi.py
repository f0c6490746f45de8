"""The description of an API, from its code.

Source: OpenAPI 3.1.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from mainspring.http._openapi_answers import Answers
from mainspring.http._openapi_schemas import Schemas, plain_value, sent_as_text, split_docstring
from mainspring.http._routing import Capture
from mainspring.http._signature import REQUIRED, Parameter, is_struct, unwrap

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mainspring.http._openapi_schemas import Schema
    from mainspring.http._routing import Route

VERSION: Final = "3.1.1"
SCHEME: Final = "credentials"
# OpenAPI 3.1.1, section 4.8.12.1: these are said elsewhere.
_SAID_ELSEWHERE: Final = frozenset({"accept", "content-type", "authorization"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What a document says of the whole API.

    Attributes:
        title: the name of the application.
        version: of the API.
        description: a paragraph or more, in CommonMark.
        scheme: of `Authorization`, such as `Bearer`; empty for an API without accounts.
        principals: types that stand for who is asking.
        problems: whether errors are answered as problem details, and not in a form of the
            application's own.
    """

    title: str
    version: str
    description: str = ""
    scheme: str = ""
    principals: frozenset[Any] = frozenset()
    problems: bool = True


def document(routes: Iterable[Route], about: Description) -> dict[str, Any]:
    """The OpenAPI document of compiled routes; hidden ones, sockets and mounts are left out."""
    schemas = Schemas()
    answers = Answers(schemas, problems=about.problems)
    shown = [route for route in routes if route.kind == "http" and not route.hidden]
    names = _operation_ids(shown)
    paths: dict[str, dict[str, Any]] = {}
    for route in shown:
        at = paths.setdefault(_path(route), {})
        for method in sorted(route.methods):
            operation = _operation(route, schemas, answers, about)
            at.setdefault(method.lower(), {"operationId": names[id(route), method], **operation})
    components: dict[str, Any] = {
        "responses": answers.shared(),
        "schemas": schemas.components(),
    }
    if about.scheme:
        components["securitySchemes"] = {SCHEME: _security_scheme(about.scheme)}
    info = {"title": about.title, "version": about.version}
    if about.description:
        info["description"] = about.description
    return {
        "openapi": VERSION,
        "info": info,
        "paths": paths,
        "components": {name: part for name, part in components.items() if part},
        "tags": [{"name": tag} for tag in dict.fromkeys(t for r in shown for t in r.tags)],
    }


def _path(route: Route) -> str:
    return "".join(
        f"/{{{segment.name}}}" if isinstance(segment, Capture) else f"/{segment}"
        for segment in route.segments
    )


def _operation_ids(routes: list[Route]) -> dict[tuple[int, str], str]:
    """A name for each route and method: the handler's, and more only where two share it."""
    taken: set[str] = set()
    found: dict[tuple[int, str], str] = {}
    for route in routes:
        for method in sorted(route.methods):
            parts = [s.name if isinstance(s, Capture) else s for s in route.segments]
            long = "_".join([method.lower(), *filter(None, parts)]).replace("-", "_")
            candidates = (route.name, f"{route.name}_{method.lower()}", long)
            name = next((each for each in candidates if each not in taken), f"{long}_{len(taken)}")
            taken.add(name)
            found[id(route), method] = name
    return found


def _operation(
    route: Route, schemas: Schemas, answers: Answers, about: Description
) -> dict[str, Any]:
    text, arguments = split_docstring(f"{route.summary}\n{route.description}", "Args")
    summary, _, description = text.partition("\n")
    operation: dict[str, Any] = {
        "tags": list(route.tags),
        "summary": summary.strip(),
        "description": description.strip(),
        "deprecated": route.deprecated,
        "parameters": [
            each
            for parameter in _parameters(route)
            for each in _described(parameter, schemas, arguments)
        ],
        "requestBody": _request_body(route, schemas, arguments),
    }
    operation = {name: part for name, part in operation.items() if part}
    identity = _who(route, about)
    operation["responses"] = answers.of(route, authenticated=identity is not None)
    if identity is not None and about.scheme:
        operation["security"] = [{SCHEME: []}] if identity else [{}, {SCHEME: []}]
    return operation


def _who(route: Route, about: Description) -> bool | None:
    """Whether somebody has to be known; None if it makes no difference."""
    if route.allow.needs_principal:
        return True
    assert route.signature is not None  # set by compile
    asked = [p for p in route.signature.of("provided") if p.kind in about.principals]
    return not all(p.optional for p in asked) if asked else None


def _security_scheme(scheme: str) -> dict[str, Any]:
    if scheme.lower() == "bearer":
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    # Names of schemes are registered, so one's own has to be described as a header.
    return {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": f"The word `{scheme}`, a space, and a token.",
    }


def _parameters(route: Route) -> list[Parameter]:
    assert route.signature is not None  # set by compile
    return [
        parameter
        for parameter in route.signature.parameters
        if parameter.source in {"path", "query", "header", "cookie"}
        and not (parameter.source == "header" and parameter.wire_name.lower() in _SAID_ELSEWHERE)
    ]


def _described(
    parameter: Parameter, schemas: Schemas, arguments: Mapping[str, str]
) -> list[dict[str, Any]]:
    plain = unwrap(parameter.kind)[0]
    if parameter.source == "query" and is_struct(plain):
        return [_field(field, schemas) for field in msgspec.structs.fields(plain)]
    schema = schemas.of(sent_as_text(parameter.kind))
    required = parameter.source == "path" or parameter.default is REQUIRED
    if not required:
        _say_default(schema, parameter.default)
    found = {"name": parameter.wire_name, "in": parameter.source, "required": required}
    if parameter.name in arguments:
        found["description"] = arguments[parameter.name]
    return [{**found, "schema": schema}]


def _field(field: msgspec.structs.FieldInfo, schemas: Schemas) -> dict[str, Any]:
    schema = schemas.of(sent_as_text(field.type))
    if field.default is not msgspec.NODEFAULT:
        _say_default(schema, field.default)
    return {"name": field.encode_name, "in": "query", "required": field.required, "schema": schema}


def _say_default(schema: Schema, default: Any) -> None:
    value = plain_value(default)
    if value is not None:
        schema["default"] = value


def _request_body(
    route: Route, schemas: Schemas, arguments: Mapping[str, str]
) -> dict[str, Any] | None:
    reader = route.body
    if reader is None:
        return None
    assert route.signature is not None  # set by compile
    parameter = next(iter([*route.signature.of("body"), *route.signature.of("form")]))
    kind, marker = unwrap(parameter.kind)
    schema = schemas.of(kind)
    key = getattr(marker, "key", "")
    if key:
        schema = {"type": "object", "properties": {key: schema}, "required": [key]}
    body: dict[str, Any] = {
        "required": parameter.default is REQUIRED,
        "content": {kind: {"schema": schema} for kind in reader.media_types},
    }
    if parameter.name in arguments:
        body["description"] = arguments[parameter.name]
    return body
