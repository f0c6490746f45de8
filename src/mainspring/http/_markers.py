"""Where a handler's parameter comes from, when its name and type do not say so."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Header:
    """`Annotated[str, Header("x-token")]`: a request header.

    Without a name it is the parameter's, with dashes.
    """

    name: str = ""


@dataclass(frozen=True, slots=True)
class Cookie:
    """`Annotated[str, Cookie("theme")]`: a cookie; by default the parameter's name."""

    name: str = ""


@dataclass(frozen=True, slots=True)
class Query:
    """`Annotated[str, Query("q")]`: a query parameter of another name.

    Of a `Struct` every field is a query parameter.
    """

    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """`Annotated[SignUp, Form()]`: a `Struct` filled from an HTML form.

    The form is urlencoded or multipart. It is never accepted where it is not asked for.

    The whole of it is bounded by the route's `body_limit_bytes`.

    Attributes:
        fields: at most so many values.
        value_bytes: the longest value.
        files: at most so many files.
        file_bytes: the largest single file; None for what the route takes in all.
    """

    fields: int = 256
    value_bytes: int = 64 * 1024
    files: int = 16
    file_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Body:
    """`Annotated[NewUser, Body("user")]`: what stands under one key of the body.

    Without a key it is the whole body, for types that would otherwise be read from the query.
    """

    key: str = ""
