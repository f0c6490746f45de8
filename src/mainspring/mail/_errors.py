"""What mail reports."""

from __future__ import annotations

from mainspring.data._errors import GiveUp
from mainspring.errors import ConfigError, MainspringError


class MessageError(MainspringError):
    """A message cannot be sent as it is written."""

    code = "mail.message"


class MailUrlError(ConfigError):
    """`MAIL_URL` is missing or cannot be used as it is written."""

    code = "mail.url"


class MailRefused(GiveUp):
    """The mail server refused the message for good; another attempt would change nothing."""

    code = "mail.refused"
