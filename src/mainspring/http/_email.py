"""An e-mail address as the type of a field."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

# The pattern of <input type=email> (WHATWG HTML, section 4.10.5.1.5), with the parts bounded.
# Labels are told apart by the dot, which no label holds, so that nothing is tried twice.
_LABEL: Final = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
EMAIL_PATTERN: Final = (
    rf"^[a-zA-Z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@{_LABEL}(?:\.{_LABEL}){{0,32}}$(?!\n)"
)

Email = Annotated[
    str,
    Meta(
        max_length=254,
        pattern=EMAIL_PATTERN,
        description="an e-mail address",
        extra_json_schema={"format": "email"},
    ),
]
"""Text of the form that browsers accept in an e-mail input, of at most 254 characters.

Only the form is checked. That somebody reads the mail is known after they have followed a
link in one. Source for the length: RFC 5321, section 4.5.3.1.3, less the angle brackets.
"""
