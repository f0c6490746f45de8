"""What the command line itself reports."""

from __future__ import annotations

from mainspring.errors import ConfigError, MainspringError


class UsageError(MainspringError):
    """The command line cannot be understood; the command exits with 2."""

    code = "cli.usage"


class ApplicationNotFound(ConfigError):
    """There is no application where the command looks for it."""

    code = "cli.application"


class BrokenApplication(ConfigError):
    """The application's own code fails while it is imported; the cause says how."""

    code = "cli.broken-application"


class NothingToSeed(ConfigError):
    """The application declares no seed data."""

    code = "cli.no-seed"


class NoAccounts(ConfigError):
    """The application has no accounts, so none can be made."""

    code = "cli.no-accounts"


class NoJournal(MainspringError):
    """The application has no journal, so there is nothing to relay."""

    code = "cli.no-journal"
