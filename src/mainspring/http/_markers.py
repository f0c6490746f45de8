"""Where a handler's parameter comes from, when its name and type do not say so."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Header:
    """`Annotated[str, Header("x-token")]`: a request header; by default the parameter's name
    with dashes."""

    name: str = ""


@dataclass(frozen=True, slots=True)
class Cookie:
    """`Annotated[str, Cookie("theme")]`: a cookie; by default the parameter's name."""

    name: str = ""


@dataclass(frozen=True, slots=True)
class Query:
    """`Annotated[str, Query("q")]`: a query parameter of another name, or a `Struct` whose
    fields are query parameters."""

    name: str = ""


@dataclass(frozen=True, slots=True)
class Form:
    """`Annotated[SignUp, Form()]`: a `Struct` filled from an HTML form, urlencoded or
    multipart. A form is never accepted where it is not asked for."""


@dataclass(frozen=True, slots=True)
class Body:
    """`Annotated[dict[str, int], Body()]`: the body, for types that would otherwise be read
    from the query."""
