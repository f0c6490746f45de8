"""A version of each row, so that nobody overwrites what they have not seen."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from mainspring.data.types import Integer64


class Versioned:
    """A mixin: `version` counts the changes of a row, and a change of an old one is refused.

    Every update and delete of an object says which version was read, and SQLAlchemy raises
    `StaleDataError` if the row has another by then; in a request that is a 409.
    """

    version: Mapped[int] = mapped_column(Integer64(), server_default="1", sort_order=102)

    @declared_attr.directive
    def __mapper_args__(cls) -> dict[str, Any]:  # noqa: N805  # SQLAlchemy gives the class
        inherits = any("__mapper__" in vars(base) for base in cls.__mro__[1:])  # type: ignore[attr-defined]
        return {} if inherits else {"version_id_col": cls.version}
