"""SMTP by aiosmtplib: one connection for each message, encrypted wherever the server can."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, unquote, urlsplit

import aiosmtplib

from mainspring import telemetry
from mainspring.errors import suggestion
from mainspring.mail._errors import MailRefused, MailUrlError
from mainspring.mail._message import bare_address

if TYPE_CHECKING:
    from urllib.parse import SplitResult

    from mainspring.mail._transport import Envelope, Transport

_SECONDS: Final = 30.0
_CONNECTIONS: Final = 4
_PORTS: Final = {"smtp": 587, "smtps": 465}
_STARTTLS: Final = ("auto", "require", "never")


class Smtp:
    """`smtp://user:password@host:587` or, with TLS from the first byte, `smtps://…:465`.

    With `smtp://` the connection is encrypted by STARTTLS where the server offers it, and
    always before a password is sent to anybody but this machine. `?starttls=require` refuses
    servers without, `?starttls=never` is for those that only pretend.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if not parts.hostname:
            raise MailUrlError(
                "MAIL_URL names no host", fix="write smtp://user:password@mail.example.org:587"
            )
        self._host = parts.hostname
        self._port = parts.port or _PORTS[parts.scheme]
        self._tls = parts.scheme == "smtps"
        self._user = unquote(parts.username or "")
        self._password = unquote(parts.password or "")
        self._starttls = _starttls(parts)
        if self._starttls == "auto" and self._user and not _is_loopback(self._host):
            self._starttls = "require"
        self._free = asyncio.Semaphore(_CONNECTIONS)

    async def deliver(self, envelope: Envelope) -> list[str]:
        sender = bare_address(envelope.sender)
        async with self._free, self._client() as client:
            if self._user:
                await client.login(self._user, self._password)
            try:
                refused, _ = await client.sendmail(
                    sender, list(envelope.recipients), envelope.as_bytes()
                )
            except aiosmtplib.SMTPRecipientsRefused as exc:
                return _none_taken(exc)
            except aiosmtplib.SMTPResponseException as exc:
                raise _judged(exc) from exc
        return _some_taken(refused, envelope.message_id)

    def _client(self) -> aiosmtplib.SMTP:
        wanted = {"auto": None, "require": True, "never": False}[self._starttls]
        return aiosmtplib.SMTP(
            hostname=self._host,
            port=self._port,
            use_tls=self._tls,
            start_tls=False if self._tls else wanted,
            timeout=_SECONDS,
        )

    async def close(self) -> None:
        """Nothing is open between two messages."""


def _starttls(parts: SplitResult) -> str:
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    for name in options:
        if name != "starttls":
            raise MailUrlError(
                f"MAIL_URL has no option {name!r}",
                fix=suggestion(name, ["starttls"]) or "the only one is ?starttls=",
            )
    value = options.get("starttls", "auto")
    if value not in _STARTTLS:
        raise MailUrlError(
            f"MAIL_URL has starttls={value!r}", fix=f"use one of {', '.join(_STARTTLS)}"
        )
    return value


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _judged(exc: aiosmtplib.SMTPResponseException) -> Exception:
    """What a negative answer means: 5yz is for good, 4yz for now (RFC 5321, section 4.2.1)."""
    if 500 <= exc.code < 600:
        return MailRefused(f"the mail server refused the message: {exc.code} {exc.message}")
    return exc


def _none_taken(exc: aiosmtplib.SMTPRecipientsRefused) -> list[str]:
    later = [one for one in exc.recipients if one.code < 500]
    if later:
        raise exc  # all of them are tried again; those refused for good are refused again
    said = "; ".join(f"{one.recipient}: {one.code} {one.message}" for one in exc.recipients)
    raise MailRefused(f"the mail server refused every recipient: {said}") from exc


def _some_taken(refused: dict[str, aiosmtplib.SMTPResponse], message_id: str) -> list[str]:
    for address, answer in refused.items():
        if answer.code >= 500:
            # The message is on its way to the others, so this is told and not raised.
            telemetry.emit(
                "mail.refused", message_id=message_id, recipient=address, code=answer.code
            )
    return [address for address, answer in refused.items() if answer.code < 500]


if TYPE_CHECKING:
    _fits: type[Transport] = Smtp
