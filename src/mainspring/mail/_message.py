"""A message as an application writes it, and as it goes over the wire."""

from __future__ import annotations

import mimetypes
import re
from datetime import UTC, datetime
from email.errors import MessageError as _PythonsError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, getaddresses
from typing import Any, Final

import msgspec

from mainspring.mail._errors import MessageError

# RFC 5322, section 2.2: a field's body has no line break of its own. Whoever can put one into
# a subject can add recipients, or a body.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_FIELD_NAME: Final = re.compile(r"[!-9;-~]+")
_OURS: Final = frozenset({
    "from", "to", "cc", "bcc", "subject", "date", "message-id", "reply-to", "mime-version",
    "content-type", "content-transfer-encoding", "content-disposition", "sender", "return-path",
})  # fmt: skip


class Attachment(msgspec.Struct, frozen=True, kw_only=True):
    """A file that goes along.

    Attributes:
        name: what the reader's program calls it.
        data: its bytes.
        media_type: guessed from the name if it is empty.
    """

    name: str
    data: bytes
    media_type: str = ""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be sent to whom. Addresses are `ada@example.org` or `Ada <ada@example.org>`.

    Attributes:
        to: one address or several; everybody sees them.
        subject: one line.
        text: for readers without HTML.
        html: for the others; at least one of the two is needed.
        sender: whom it is from; by default `MAIL_FROM`.
        cc: see `to`.
        bcc: get it too, and nobody sees them.
        reply_to: where answers go, if not to the sender.
        attachments: files.
        headers: further ones, such as `List-Unsubscribe`.
    """

    to: str | tuple[str, ...]
    subject: str
    text: str = ""
    html: str = ""
    sender: str = ""
    cc: tuple[str, ...] = ()
    bcc: tuple[str, ...] = ()
    reply_to: tuple[str, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    headers: dict[str, str] = {}

    @property
    def recipients(self) -> tuple[str, ...]:
        """The bare addresses of all who get it, each once.

        Raises:
            MessageError: one of them is none, or there is nobody.
        """
        to = (self.to,) if isinstance(self.to, str) else self.to
        found = dict.fromkeys(bare_address(each) for each in (*to, *self.cc, *self.bcc))
        if not found:
            raise MessageError("the message is to nobody", fix="give an address in to, cc or bcc")
        return tuple(found)


def bare_address(text: str) -> str:
    """`ada@example.org` of `Ada <ada@example.org>`, fit for SMTP.

    Raises:
        MessageError: it is not exactly one address, or has letters that SMTP cannot carry.
    """
    return _address(text).addr_spec


def _address(text: str) -> Address:
    _check_line("an address", text)
    pairs = getaddresses([text])
    if len(pairs) != 1 or not pairs[0][1]:
        raise MessageError(f"{text!r} is not one e-mail address", fix="write name@example.org")
    name, spec = pairs[0]
    local, at, domain = spec.rpartition("@")
    if not (local and at and domain) or " " in spec:
        raise MessageError(f"{text!r} is not an e-mail address", fix="write name@example.org")
    try:
        # Names of hosts have a form in ASCII (RFC 5890); the part before the @ has none.
        ascii_domain = domain.encode("idna").decode() if not domain.isascii() else domain
        local.encode("ascii")
        return Address(display_name=name, addr_spec=f"{local}@{ascii_domain}")
    except (UnicodeError, ValueError, IndexError, _PythonsError) as exc:
        raise MessageError(
            f"{text!r} is not an address that every mail server takes: {exc}",
            fix="write it in ASCII before the @",
        ) from exc


def encode(
    message: Message, *, sender: str, message_id: str, date: datetime | None = None
) -> bytes:
    """The message as RFC 5322 and MIME have it, with CRLF, without its `bcc`.

    Args:
        message: what it says.
        sender: whom it is from.
        message_id: without the angle brackets.
        date: when it was written; now by default.

    Raises:
        MessageError: a header would be more than one line, an address is none, or there is
            neither text nor HTML.
    """
    found = EmailMessage(policy=SMTP)
    to = (message.to,) if isinstance(message.to, str) else message.to
    found["From"] = _address(sender)
    for name, listed in (("To", to), ("Cc", message.cc), ("Reply-To", message.reply_to)):
        if listed:
            found[name] = tuple(map(_address, listed))
    _check_line("the subject", message.subject)
    found["Subject"] = message.subject
    found["Date"] = format_datetime(date or datetime.now(UTC))
    found["Message-ID"] = f"<{message_id}>"
    _add_headers(found, message.headers)
    _add_body(found, message)
    for attachment in message.attachments:
        _attach(found, attachment)
    return found.as_bytes()


def _add_headers(found: EmailMessage, headers: dict[str, str]) -> None:
    for name, value in headers.items():
        if not _FIELD_NAME.fullmatch(name) or name.lower() in _OURS:
            raise MessageError(
                f"{name!r} cannot be a header of its own",
                fix="use the field of Message, or a name of letters, digits and -",
            )
        _check_line(f"the header {name}", value)
        found[name] = value


def _add_body(found: EmailMessage, message: Message) -> None:
    if not (message.text or message.html):
        raise MessageError("the message has neither text nor HTML", fix="give text=, html= or both")
    if message.text or not message.html:
        found.set_content(message.text)
        if message.html:
            found.add_alternative(message.html, subtype="html")
    else:
        found.set_content(message.html, subtype="html")


def _attach(found: EmailMessage, attachment: Attachment) -> None:
    _check_line("the name of an attachment", attachment.name)
    _check_line("the type of an attachment", attachment.media_type)
    kind = attachment.media_type or mimetypes.guess_type(attachment.name)[0]
    main, _, sub = (kind or "application/octet-stream").partition("/")
    options: dict[str, Any] = {"maintype": main, "subtype": sub or "octet-stream"}
    found.add_attachment(attachment.data, filename=attachment.name, **options)


def check(message: Message, *, sender: str) -> None:
    """Raise now what sending would raise later, when nobody is there to be told.

    Raises:
        MessageError: see `encode` and `Message.recipients`.
    """
    encode(message, sender=sender, message_id="check@localhost")
    _ = message.recipients


def _check_line(what: str, text: str) -> None:
    if _CONTROL.search(text):
        raise MessageError(
            f"{what} has a line break or another control character: {text!r}",
            fix="remove it; a value from outside is never more than one line",
        )
