"""Which of two formats a client would rather have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.http._negotiate import preferred

OFFERED = ("application/json", "text/html")


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "application/json"),
        (" , ,", "application/json"),
        ("text/html", "text/html"),
        ("TEXT/HTML", "text/html"),
        ("text/*", "text/html"),
        ("*/*", "application/json"),
        ("text/html;q=0.5, application/json;q=0.4", "text/html"),
        ("text/html;q=0.5, */*;q=0.5", "application/json"),
        ("application/*;q=0.2, text/html;q=0.3", "text/html"),
        # The more specific range decides, not the better one.
        ("application/json;q=0, */*", "text/html"),
        ("text/*;q=1, text/html;q=0.1, */*;q=0.5", "application/json"),
        ("image/png", None),
        ("application/json;q=0, text/html;q=0", None),
        ("*/*;q=0", None),
        ("text/html;level=1;q=0.1, application/json;q=0.2", "application/json"),
        ("text/html;q=x", None),
        ("text/html;q=2", "text/html"),
        ("text/html;q=-1", None),
        ("text/html; Q=0.1, application/json;q=0.2", "application/json"),
        ("a/b," * 1000 + "text/html", None),
    ],
)
def test_the_weights_of_the_client_decide(accept: str, kind: str | None) -> None:
    assert preferred(accept, OFFERED) == kind


@given(st.text())
def test_no_header_does_more_than_choose_or_refuse(accept: str) -> None:
    assert preferred(accept, OFFERED) in {*OFFERED, None}
