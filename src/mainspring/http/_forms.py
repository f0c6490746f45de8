"""HTML forms: urlencoded and multipart, into a struct."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, get_origin

from mainspring.http._formats import UnsupportedMediaType, media_type, refuse_encoded
from mainspring.http._markers import Form
from mainspring.http._multipart import NAME_BYTES, FormTooLarge, Receiver, boundary_of
from mainspring.http._problem import Invalid, Violation
from mainspring.http._request import parse_query
from mainspring.http._routing import RouteError
from mainspring.http._signature import is_struct, unwrap
from mainspring.http._text import Slot, TextStruct, Wrong
from mainspring.http._upload import Upload

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mainspring.http._request import Request
    from mainspring.http._signature import Parameter

URLENCODED: Final = "application/x-www-form-urlencoded"
MULTIPART: Final = "multipart/form-data"
_CHECKBOX: Final = {"on": "true", "off": "false"}
"""What browsers send for a checkbox without a value (WHATWG HTML, section 4.10.5.3)."""


class FormBody:
    """Reads a form into a struct.

    Raises:
        RouteError: the type is no struct, or has fields that a form cannot hold.
    """

    def __init__(self, parameter: Parameter) -> None:
        plain, marker = unwrap(parameter.kind)
        self.kind = plain
        self.limits: Form = marker if isinstance(marker, Form) else Form()
        self._struct = TextStruct(plain)
        for name, slot in self._struct.slots.items():
            if is_struct(slot.kind) or slot.kind is dict or get_origin(slot.kind) is dict:
                raise RouteError(
                    f"the form {plain} has the nested field {name!r}; forms are flat",
                    fix="give it fields of its own, or take JSON",
                )
        self._files = frozenset(n for n, s in self._struct.slots.items() if s.kind is Upload)
        self.media_types = (MULTIPART,) if self._files else (URLENCODED, MULTIPART)

    async def read(self, request: Request) -> Any:
        """The struct; its files are in `request.uploads` too, for whoever cleans up.

        Raises:
            Invalid: names everything that is wrong with the fields.
            BadRequest: it is no form.
            FormTooLarge: it goes beyond a limit of the form.
            BodyTooLarge: it has more bytes than the route takes.
            UnsupportedMediaType: it is in another format.
        """
        refuse_encoded(request)
        sent = request.raw_headers.get(b"content-type", b"").decode("latin-1")
        match media_type(sent):
            case "multipart/form-data":
                values, uploads = await self._multipart(request, sent)
            case "application/x-www-form-urlencoded" if not self._files:
                values, uploads = await self._urlencoded(request), {}
            case other:
                raise UnsupportedMediaType(other, self.media_types)
        return self._built(values, uploads)

    async def _multipart(
        self, request: Request, content_type: str
    ) -> tuple[dict[str, list[str]], dict[str, list[Upload]]]:
        receiver = Receiver(self.limits, file_names=self._files, uploads=request.uploads)
        await receiver.receive(request.stream(), boundary_of(content_type))
        return receiver.values, receiver.uploads

    async def _urlencoded(self, request: Request) -> dict[str, list[str]]:
        values = parse_query(await request.read(), limit=self.limits.fields)
        for name, texts in values.items():
            if len(name.encode()) > NAME_BYTES:
                raise FormTooLarge(f"the name of a field is longer than {NAME_BYTES} bytes")
            if any(len(text.encode()) > self.limits.value_bytes for text in texts):
                raise FormTooLarge(
                    f"the value of {name!r} is longer than {self.limits.value_bytes} bytes"
                )
        return values

    def _built(
        self, values: Mapping[str, Sequence[str]], uploads: Mapping[str, Sequence[Upload]]
    ) -> Any:
        found = [
            Violation("is not a file field", pointer=f"#/{name}")
            for name in uploads
            if name in self._struct.slots and name not in self._files
        ]
        sent = {**values, **{name: files for name, files in uploads.items() if name in self._files}}
        try:
            value = self._struct.read(sent, prepare=_prepared, absent=_absent)
        except Wrong as exc:
            raise Invalid(_without(exc.found, found)) from None
        if found:
            raise Invalid(found)
        return value


def _without(found: list[Violation], said: list[Violation]) -> list[Violation]:
    known = {violation.pointer for violation in said}
    return [*said, *(violation for violation in found if violation.pointer not in known)]


def _prepared(slot: Slot, text: Any) -> Any:
    return _CHECKBOX.get(text, text) if slot.kind is bool else text


def _absent(slot: Slot, text: Any) -> bool:
    """A browser sends empty text for an input that was left empty."""
    return text == "" and not slot.text
