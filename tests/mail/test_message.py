"""What a message becomes on the wire, and what is refused before it gets there."""

from __future__ import annotations

import email
import email.policy
from datetime import UTC, datetime

import pytest

from mainspring.mail import Attachment, Message, MessageError
from mainspring.mail._message import bare_address, check, encode

DATE = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def _sent(message: Message, *, sender: str = "shop@example.org") -> email.message.EmailMessage:
    raw = encode(message, sender=sender, message_id="1@example.org", date=DATE)
    assert b"\n" not in raw.replace(b"\r\n", b"")
    return email.message_from_bytes(raw, policy=email.policy.default)  # type: ignore[return-value]


def test_a_message_has_what_every_message_needs() -> None:
    found = _sent(Message(to="Ada <ada@example.org>", subject="Über uns", text="Grüße\n"))
    assert found["From"] == "shop@example.org"
    assert found["To"] == "Ada <ada@example.org>"
    assert found["Subject"] == "Über uns"
    assert found["Message-ID"] == "<1@example.org>"
    assert found["Date"].datetime == DATE
    assert found.get_content() == "Grüße\r\n"


def test_text_and_html_are_alternatives_and_files_come_after_them() -> None:
    files = (
        Attachment(name="prices für alle.csv", data=b"a,b\n"),
        Attachment(name="x", data=b"\0"),
    )
    found = _sent(
        Message(to="a@example.org", subject="s", text="t", html="<p>h</p>", attachments=files)
    )
    assert found.get_content_type() == "multipart/mixed"
    assert found.get_body(("plain",)).get_content() == "t\r\n"  # type: ignore[union-attr]
    assert found.get_body(("html",)).get_content() == "<p>h</p>\r\n"  # type: ignore[union-attr]
    first, second = found.iter_attachments()
    assert (first.get_filename(), first.get_content_type()) == ("prices für alle.csv", "text/csv")
    assert second.get_content_type() == "application/octet-stream"
    assert second.get_content() == b"\0"


def test_html_alone_is_a_message_too() -> None:
    found = _sent(Message(to="a@example.org", subject="s", html="<p>h</p>"))
    assert found.get_content_type() == "text/html"


def test_nobody_sees_bcc_and_everybody_in_it_gets_the_message() -> None:
    message = Message(
        to=("a@example.org", "B <b@example.org>"), cc=("c@example.org",),
        bcc=("d@example.org", "a@example.org"), subject="s", text="t",
    )  # fmt: skip
    assert message.recipients == (
        "a@example.org", "b@example.org", "c@example.org", "d@example.org",
    )  # fmt: skip
    raw = encode(message, sender="x@example.org", message_id="1@x")
    assert b"d@example.org" not in raw
    assert b"bcc" not in raw.lower()


@pytest.mark.parametrize("evil", ["a\r\nBcc: all@example.org", "a\nb", "a\rb", "a\0b", "a\x1bb"])
def test_no_header_can_be_injected_anywhere(evil: str) -> None:
    fine = {"to": "a@example.org", "subject": "s", "text": "t"}
    bad = [
        {"subject": evil},
        {"to": f"{evil} <a@example.org>"},
        {"to": f"a@example.org{evil}"},
        {"cc": (f"{evil} <a@example.org>",)},
        {"reply_to": (f"{evil} <a@example.org>",)},
        {"headers": {"X-Evil": evil}},
        {"headers": {f"X-{evil}": "x"}},
        {"attachments": (Attachment(name=evil, data=b""),)},
        {"attachments": (Attachment(name="x", data=b"", media_type=evil),)},
    ]
    for change in bad:
        with pytest.raises(MessageError):
            check(Message(**{**fine, **change}), sender="x@example.org")  # type: ignore[arg-type]
    with pytest.raises(MessageError):
        check(Message(**fine), sender=f"{evil} <x@example.org>")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["From", "bcc", "Message-ID", "Content-Type", "a b", "a:", ""])
def test_a_header_that_is_ours_or_none_is_refused(name: str) -> None:
    with pytest.raises(MessageError, match="cannot be a header"):
        check(
            Message(to="a@example.org", subject="s", text="t", headers={name: "x"}),
            sender="x@example.org",
        )


def test_a_header_of_ones_own_goes_along() -> None:
    link = "<https://shop.example/leave>"
    headers = {"List-Unsubscribe": link}
    found = _sent(Message(to="a@example.org", subject="s", text="t", headers=headers))
    assert found["List-Unsubscribe"] == link


@pytest.mark.parametrize(
    "address",
    ["", "ada", "ada@", "@example.org", "a@example.org, b@example.org", "a b@example.org",
     "jürgen@example.org", "<>"],
)  # fmt: skip
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(MessageError):
        bare_address(address)


def test_names_of_hosts_are_written_in_ascii() -> None:
    assert bare_address("info@münchen.example") == "info@xn--mnchen-3ya.example"


def test_an_empty_message_and_one_to_nobody_are_refused() -> None:
    with pytest.raises(MessageError, match="neither text nor HTML"):
        check(Message(to="a@example.org", subject="s"), sender="x@example.org")
    with pytest.raises(MessageError, match="to nobody"):
        check(Message(to=(), subject="s", text="t"), sender="x@example.org")
