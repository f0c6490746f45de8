"""Data: models, databases by URL, and the unit of work that reads and writes them."""

from sqlalchemy import bindparam, delete, exists, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, joinedload, relationship, selectinload

from mainspring.data._cursor import Cursors
from mainspring.data._database import Database
from mainspring.data._errors import (
    BadCursor,
    Contended,
    DatabaseUnavailable,
    DatabaseUrlError,
    HotStatementError,
    ModelError,
    PageError,
    PoolExhausted,
    RelationNotLoaded,
    RepeatedStatement,
    RowNotFound,
    SnapshotOutdated,
    SqliteTooOld,
    UnitEnded,
    WriterBusy,
)
from mainspring.data._hot import Bound, Hot, Rows, hot
from mainspring.data._model import Model, Timestamped, column, foreign_key, utc_now
from mainspring.data._page import Page, Paged
from mainspring.data._retry import Retry
from mainspring.data._unit import Session, UnitOfWork
from mainspring.data._version import Versioned

__all__ = [
    "BadCursor",
    "Bound",
    "Contended",
    "Cursors",
    "Database",
    "DatabaseUnavailable",
    "DatabaseUrlError",
    "Hot",
    "HotStatementError",
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
    "Retry",
    "RowNotFound",
    "Rows",
    "Session",
    "SnapshotOutdated",
    "SqliteTooOld",
    "Timestamped",
    "UnitEnded",
    "UnitOfWork",
    "Versioned",
    "WriterBusy",
    "bindparam",
    "column",
    "delete",
    "exists",
    "foreign_key",
    "func",
    "hot",
    "insert",
    "joinedload",
    "relationship",
    "select",
    "selectinload",
    "update",
    "utc_now",
]
# No backend is imported here: a driver is imported when its URL is opened.
