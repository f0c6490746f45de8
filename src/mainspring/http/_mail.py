"""Mail as handlers meet it, and the mailbox that developers look into."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, Protocol, get_type_hints

from mainspring.auth import anyone
from mainspring.http._binding import Provider
from mainspring.http._problem import NotFound
from mainspring.http._response import Response
from mainspring.http._router import Router
from mainspring.mail import TRANSPORTS, Mailer, MailUrlError, Post
from mainspring.mail._message import bare_address

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainspring.data import Database
    from mainspring.data._journal import Journal
    from mainspring.http._routing import Route
    from mainspring.mail import Envelope
    from mainspring.settings import Settings

_STYLE = "body{font:1rem/1.5 system-ui;margin:2rem auto;max-width:50rem;padding:0 1rem}\
pre{white-space:pre-wrap}iframe{width:100%;height:30rem;border:1px solid #888}"
_SECURITY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Application(Protocol):
    """What mail needs of the application."""

    @property
    def settings(self) -> Settings: ...
    @property
    def database(self) -> Database: ...
    @property
    def journal(self) -> Journal: ...
    @property
    def routes(self) -> list[Route]: ...


def provide(app: Application, mail: Callable[[], Post]) -> tuple[dict[Any, Provider], list[Route]]:
    """What handlers may ask for by type, and the mailbox.

    Raises:
        MailUrlError: a handler sends mail, and `MAIL_URL` does not say how.
    """
    if any(_sends(route.endpoint) for route in app.routes):
        mail()  # now, so that a mistake in MAIL_URL stops the start
    given = Provider(lambda request: mail().mailer(request.unit), unit=True)
    return {Mailer: given}, mailbox_routes(mail, debug=app.settings.debug)


def _sends(endpoint: Callable[..., Any]) -> bool:
    try:
        return Mailer in get_type_hints(endpoint).values()
    except (NameError, TypeError):  # the route cannot be bound, or is no function
        return False


def post(app: Application) -> Post:
    """The mail that the application's settings describe.

    Raises:
        MailUrlError: `MAIL_URL` is not set outside of development, or is not understood.
    """
    settings = app.settings
    url = settings.mail_url or ("console://" if settings.debug else "")
    if not url:
        raise MailUrlError(
            "the application sends mail, and MAIL_URL does not say how",
            fix="set MAIL_URL=smtp://user:password@host:587, or console:// to only print it",
        )
    bare_address(settings.mail_from)
    transport = TRANSPORTS.load(url)(url)
    return Post(app.journal, app.database, transport, sender=settings.mail_from)


def mailbox_routes(post: Callable[[], Post], *, debug: bool) -> list[Route]:
    """`/dev/mailbox`: what would have been sent. None outside of development."""
    if not debug:
        return []
    router = Router(allow=anyone)

    @router.get("/dev/mailbox", hidden=True)
    async def mailbox() -> Response:
        items = "".join(_line(envelope) for envelope in reversed(_messages(post())))
        return _page("Mailbox", f"<ul>{items}</ul>" if items else "<p>Nothing was sent yet.</p>")

    @router.get("/dev/mailbox/{message_id}", hidden=True)
    async def mailbox_message(message_id: str) -> Response:
        for envelope in _messages(post()):
            if envelope.message_id == message_id:
                return _page(envelope.message.subject, _shown(envelope))
        raise NotFound

    return router.routes


def _messages(post: Post) -> list[Envelope]:
    return list(getattr(post.transport, "messages", ()))


def _line(envelope: Envelope) -> str:
    to, subject = ", ".join(envelope.recipients), envelope.message.subject
    link = f"/dev/mailbox/{escape(envelope.message_id)}"
    return f'<li><a href="{link}">{escape(subject)}</a> to {escape(to)}</li>'


def _shown(envelope: Envelope) -> str:
    message = envelope.message
    facts = f"<p>From {escape(envelope.sender)} to {escape(', '.join(envelope.recipients))}</p>"
    text = f"<pre>{escape(message.text)}</pre>" if message.text else ""
    # Without any permission: what a user wrote into a mail does not run in our origin.
    html = f'<iframe sandbox="" srcdoc="{escape(message.html)}"></iframe>' if message.html else ""
    return f"{facts}{text}{html}"


def _page(title: str, body: str) -> Response:
    text = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style><h1>{escape(title)}</h1>{body}"
    )
    response = Response(text.encode(), media_type="text/html; charset=utf-8")
    response.set_header("content-security-policy", _SECURITY)
    return response
