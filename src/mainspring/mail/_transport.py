"""The seam between mail and whatever carries it."""

from __future__ import annotations

from datetime import datetime  # the struct's annotations are read when it runs
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from mainspring.backends import Backends
from mainspring.mail._message import Message, encode

if TYPE_CHECKING:
    from collections.abc import Sequence


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """A message on its way.

    Attributes:
        message: what it says.
        sender: whom it is from, as the message shows it.
        recipients: bare addresses of those who have not got it yet.
        message_id: the same at every attempt, without the angle brackets.
        written_at: when the application sent it.
    """

    message: Message
    sender: str
    recipients: tuple[str, ...]
    message_id: str
    written_at: datetime

    def as_bytes(self) -> bytes:
        """The message as it goes over the wire."""
        return encode(
            self.message, sender=self.sender, message_id=self.message_id, date=self.written_at
        )


class Transport(Protocol):
    """What carries mail.

    Promises: `deliver` returns once somebody else answers for the message, and raises if
    nobody does; a `MailRefused` says that no other attempt can succeed.
    """

    async def deliver(self, envelope: Envelope) -> Sequence[str]:
        """Hand it over; the recipients that should be tried again later, usually none."""
        ...

    async def close(self) -> None: ...


class Opener(Protocol):
    """What the table names: a transport from its URL, without any I/O."""

    def __call__(self, url: str, /) -> Transport: ...


TRANSPORTS: Final[Backends[Opener]] = Backends(
    "transports",
    {
        "console": "mainspring.mail.console:Console",
        "file": "mainspring.mail.maildir:Maildir",
        "smtp": "mainspring.mail.smtp:Smtp",
        "smtps": "mainspring.mail.smtp:Smtp",
    },
    extras={"smtp": "smtp", "smtps": "smtp"},
)
