from __future__ import annotations

import pytest

from mainspring.auth import Unacceptable
from mainspring.auth._names import normalize_email, normalize_username


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("jane@example.org", "jane@example.org"),
        (" Jane.Doe+x@EXAMPLE.org\n", "jane.doe+x@example.org"),
        ("a@localhost", "a@localhost"),
        (f"{'a' * 64}@example.org", f"{'a' * 64}@example.org"),
    ],
)
def test_an_address_has_one_form(written, stored) -> None:
    assert normalize_email(written) == stored


@pytest.mark.parametrize(
    "written",
    [
        "", "jane", "@example.org", "jane@", "jane@@example.org", "jane doe@example.org",
        "jane@example..org", "jane@-example.org", "jane@example.org\nbcc:x@example.org",
        "jane@exam\u0440le.org", "j\u0430ne@example.org", "\u212aate@example.org",
        f"{'a' * 65}@example.org", f"a@{'b.' * 130}org", "x" * 1_000_000 + "@example.org",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(written) -> None:
    with pytest.raises(Unacceptable) as caught:
        normalize_email(written)
    assert caught.value.field == "email"


def test_a_name_that_looks_the_same_is_the_same() -> None:
    assert normalize_username("Zoe\u0308") == "Zo\u00eb"
    assert normalize_username("Jane Doe") == "Jane Doe"


@pytest.mark.parametrize(
    "written", ["", " ", " jane", "jane\n", "ja\u200bne", "\u202ejane", "x" * 151, "x" * 1_000_000]
)
def test_a_name_that_cannot_be_seen_is_refused(written) -> None:
    with pytest.raises(Unacceptable) as caught:
        normalize_username(written)
    assert caught.value.field == "username"
