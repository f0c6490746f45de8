"""Migrations: the database's schema follows the models, step by step and back."""

from mainspring.migrations._autogenerate import makemigrations
from mainspring.migrations._errors import (
    BrokenMigrations,
    DatabaseAhead,
    MigrationError,
    NoChanges,
    NothingToRollBack,
    RunnerBusy,
    UnappliedMigrations,
    UnknownMigration,
)
from mainspring.migrations._folder import Migration
from mainspring.migrations._runner import current, migrate, pending, rollback

__all__ = [
    "BrokenMigrations",
    "DatabaseAhead",
    "Migration",
    "MigrationError",
    "NoChanges",
    "NothingToRollBack",
    "RunnerBusy",
    "UnappliedMigrations",
    "UnknownMigration",
    "current",
    "makemigrations",
    "migrate",
    "pending",
    "rollback",
]
