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


@dataclass(frozen=True, slots=True)
class Form:
    """`Annotated[SignUp, Form()]`: a `Struct` filled from an HTML form.

    The form is urlencoded or multipart. It is never accepted where it is not asked for.
    """


@dataclass(frozen=True, slots=True)
class Body:
    """`Annotated[dict[str, int], Body()]`: the body.

    For types that would otherwise be read from the query.
    """
