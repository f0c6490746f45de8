"""Sending: a message is a row of the unit of work, delivered by the journal after the commit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from mainspring import telemetry
from mainspring.data._journal import RetryPolicy
from mainspring.mail._message import Message, bare_address, check
from mainspring.mail._transport import Envelope

if TYPE_CHECKING:
    from mainspring.data import Database, UnitOfWork
    from mainspring.data._journal import Journal
    from mainspring.data._journal_table import Entry
    from mainspring.mail._transport import Transport

KIND: Final = "mail"
_TIMEOUT: Final = timedelta(minutes=2)
# A mail server that is away over a night and a morning costs nothing: about a day.
_RETRY: Final = RetryPolicy(attempts=36)


class Mailer(Protocol):
    """Sends mail with the request, task or command that it belongs to.

    Promises: what is sent is delivered if the unit of work commits and never if it does not.
    It is delivered at least once: a crash between the mail server's yes and the note of it
    delivers the message again, with the same Message-ID.
    """

    async def send(self, message: Message) -> str:
        """Send it with the commit; its Message-ID, without the angle brackets.

        Raises:
            MessageError: it cannot be sent as it is written.
        """
        ...


class Post:
    """The application's mail: writes messages into units, and delivers them.

    Args:
        journal: what carries them over the commit.
        database: of the journal.
        transport: what carries them away.
        sender: whom they are from unless they say otherwise.
    """

    def __init__(
        self, journal: Journal, database: Database, transport: Transport, *, sender: str
    ) -> None:
        self._journal = journal
        self._database = database
        self.transport = transport
        self._sender = sender
        journal.declare(KIND, self._deliver, retry=_RETRY, timeout=_TIMEOUT)

    def mailer(self, unit: UnitOfWork) -> Mailer:
        """What sends with the unit."""
        return _UnitMailer(self, unit)

    def write(self, unit: UnitOfWork, message: Message) -> str:
        """See `Mailer.send`."""
        sender = message.sender or self._sender
        check(message, sender=sender)
        domain = bare_address(sender).rpartition("@")[2]
        envelope = Envelope(
            message=message,
            sender=sender,
            recipients=message.recipients,
            message_id=f"{telemetry.new_id()}@{domain}",
            written_at=datetime.now(UTC),
        )
        self._journal.write(unit, KIND, msgspec.msgpack.encode(envelope))
        return envelope.message_id

    async def close(self) -> None:
        """Close what the transport has open."""
        await self.transport.close()

    async def _deliver(self, entry: Entry) -> None:
        envelope = msgspec.msgpack.decode(entry.payload, type=Envelope)
        with telemetry.span("mail.delivered", message_id=envelope.message_id):
            later = await self.transport.deliver(envelope)
        if later:
            rest = msgspec.structs.replace(envelope, recipients=tuple(later))
            # Those who have it must not get it again with the others' next attempt.
            async with self._database.unit() as session:
                await self._journal.finish(session, entry)
                self._journal.write(session.unit, KIND, msgspec.msgpack.encode(rest))


class _UnitMailer:
    """The mail of one unit of work."""

    __slots__ = ("_post", "_unit")

    def __init__(self, post: Post, unit: UnitOfWork) -> None:
        self._post = post
        self._unit = unit

    async def send(self, message: Message) -> str:
        return self._post.write(self._unit, message)


if TYPE_CHECKING:
    _fits: type[Mailer] = _UnitMailer
