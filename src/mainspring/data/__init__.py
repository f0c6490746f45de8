"""Data: models, databases by URL, and the unit of work that reads and writes them."""

from sqlalchemy import delete, exists, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, joinedload, relationship, selectinload

from mainspring.data._cursor import Cursors
from mainspring.data._database import Database
from mainspring.data._errors import (
    BadCursor,
    DatabaseUnavailable,
    DatabaseUrlError,
    ModelError,
    PageError,
    PoolExhausted,
    RelationNotLoaded,
    RepeatedStatement,
    RowNotFound,
    SnapshotOutdated,
    UnitEnded,
    WriterBusy,
)
from mainspring.data._model import Model, Timestamped, column, foreign_key, utc_now
from mainspring.data._page import Page, Paged
from mainspring.data._unit import Session, UnitOfWork

__all__ = [
    "BadCursor",
    "Cursors",
    "Database",
    "DatabaseUnavailable",
    "DatabaseUrlError",
    "IntegrityError",
    "Mapped",
    "Model",
    "ModelError",
    "Page",
    "PageError",
    "Paged",
    "PoolExhausted",
    "RelationNotLoaded",
    "RepeatedStatement",
    "RowNotFound",
    "Session",
    "SnapshotOutdated",
    "Timestamped",
    "UnitEnded",
    "UnitOfWork",
    "WriterBusy",
    "column",
    "delete",
    "exists",
    "foreign_key",
    "func",
    "insert",
    "joinedload",
    "relationship",
    "select",
    "selectinload",
    "update",
    "utc_now",
]
# No backend is imported here: a driver is imported when its URL is opened.
