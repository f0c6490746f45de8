"""HTTP: from bytes to an answer.

The public names are what handlers and applications use; a server uses `Core`.
"""

from mainspring.http._body import Body as BodyStream
from mainspring.http._body import WholeBody
from mainspring.http._changes import changes
from mainspring.http._core import Core
from mainspring.http._email import Email
from mainspring.http._file import File
from mainspring.http._markers import Body, Cookie, Form, Header, Query
from mainspring.http._paths import UnknownPath
from mainspring.http._problem import (
    BadRequest,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    Problem,
    Unauthorized,
    Violation,
)
from mainspring.http._request import Request
from mainspring.http._response import Accepted, Created, Html, Redirect, Response, UnsafeHeader
from mainspring.http._router import Router
from mainspring.http._routing import Route, RouteError
from mainspring.http._row_policy import Rows
from mainspring.http._sse import Event, EventStream, LastEventId, UnsafeEvent
from mainspring.http._static import StaticError, StaticFiles
from mainspring.http._stream import Stream
from mainspring.http._templates import Template
from mainspring.http._transport import SocketClosed, SocketTransport
from mainspring.http._upload import Upload, UploadClosed
from mainspring.http._websocket import SocketMisuse, UnexpectedMessage, WebSocket

__all__ = [
    "Accepted",
    "BadRequest",
    "Body",
    "BodyStream",
    "Conflict",
    "Cookie",
    "Core",
    "Created",
    "Email",
    "Event",
    "EventStream",
    "File",
    "Forbidden",
    "Form",
    "Header",
    "Html",
    "Invalid",
    "LastEventId",
    "NotFound",
    "Problem",
    "Query",
    "Redirect",
    "Request",
    "Response",
    "Route",
    "RouteError",
    "Router",
    "Rows",
    "SocketClosed",
    "SocketMisuse",
    "SocketTransport",
    "StaticError",
    "StaticFiles",
    "Stream",
    "Template",
    "Unauthorized",
    "UnexpectedMessage",
    "UnknownPath",
    "UnsafeEvent",
    "UnsafeHeader",
    "Upload",
    "UploadClosed",
    "Violation",
    "WebSocket",
    "WholeBody",
    "changes",
]
