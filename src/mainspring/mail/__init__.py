"""Mail: messages that are sent when, and only when, the unit of work commits."""

from mainspring.mail._errors import MailRefused, MailUrlError, MessageError
from mainspring.mail._mailer import Mailer, Post
from mainspring.mail._message import Attachment, Message
from mainspring.mail._transport import TRANSPORTS, Envelope, Transport

__all__ = [
    "TRANSPORTS",
    "Attachment",
    "Envelope",
    "MailRefused",
    "MailUrlError",
    "Mailer",
    "Message",
    "MessageError",
    "Post",
    "Transport",
]
# No transport is imported here: MAIL_URL chooses one.
