"""Requests that depend on what the client has already.

Source: RFC 9110, section 13.
"""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from mainspring.http._problem import Problem

if TYPE_CHECKING:
    from mainspring.http._request import Request

_LIST_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class Validators:
    """What tells one state of a thing from another.

    Attributes:
        etag: strong, with its quotes.
        modified: seconds since the epoch.
    """

    etag: str
    modified: int

    @property
    def last_modified(self) -> str:
        """The time as a header has it."""
        return formatdate(self.modified, usegmt=True)


def outcome(request: Request, current: Validators) -> int:
    """The status that the conditions of a GET or HEAD lead to: 200, 304 or 412.

    Source: RFC 9110, section 13.2.2, the order of evaluation.
    """
    headers = request.raw_headers
    match = headers.get(b"if-match")
    if match is not None:
        if not _listed(match, current.etag, weak=False):
            return 412
    elif _later(headers.get(b"if-unmodified-since"), current) is False:
        return 412
    none_match = headers.get(b"if-none-match")
    if none_match is not None:
        return 304 if _listed(none_match, current.etag, weak=True) else 200
    return 304 if _later(headers.get(b"if-modified-since"), current) else 200


def range_is_current(request: Request, current: Validators) -> bool:
    """Whether a range may be sent: `If-Range` names this very state, or there is none.

    Source: RFC 9110, section 13.1.5; a date counts only if it is the very same.
    """
    sent = request.raw_headers.get(b"if-range")
    if sent is None:
        return True
    text = sent.decode("latin-1").strip()
    return text in {current.etag, current.last_modified}


def check_match(request: Request, etag: str, *, required: bool) -> None:
    """Refuse a change of another state than the client has seen.

    A weak tag counts too: ours becomes one when an answer is compressed, and names the very
    same state of the row.

    Raises:
        Problem: 412 if `If-Match` names another state, 428 if there is none and it is required
            (RFC 6585, section 3).
    """
    sent = request.raw_headers.get(b"if-match")
    if sent is None:
        if required:
            raise Problem(428, "say which state is to be changed: send its ETag as If-Match")
    elif not _listed(sent, etag, weak=True):
        raise Problem(412, "it has been changed meanwhile", headers={"etag": etag})


def has_match(request: Request, etag: str) -> bool:
    """Whether the client has this state already, by `If-None-Match`."""
    sent = request.raw_headers.get(b"if-none-match")
    return sent is not None and _listed(sent, etag, weak=True)


def _listed(sent: bytes, etag: str, *, weak: bool) -> bool:
    """Whether a list of entity tags, or `*`, has this one. Ours hold no comma."""
    if len(sent) > _LIST_BYTES:
        return False
    tags = [tag.strip() for tag in sent.decode("latin-1").split(",")]
    if tags == ["*"]:
        return True
    if weak:
        tags = [tag.removeprefix("W/") for tag in tags]
    return etag in tags


def _later(sent: bytes | None, current: Validators) -> bool | None:
    """Whether a date is not before the last change; None if it is no date."""
    if sent is None:
        return None
    try:
        return parsedate_to_datetime(sent.decode("latin-1")).timestamp() >= current.modified
    except (ValueError, OverflowError):
        return None
