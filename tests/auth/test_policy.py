from __future__ import annotations

import pytest

from mainspring.auth import Policy, Principal, anyone, role, signed_in

NOBODY = None
SOMEBODY = Principal(7)
EDITOR = Principal(8, frozenset({"editor"}))
CHIEF = Principal(9, frozenset({"chief", "editor"}))
EVERYONE = [NOBODY, SOMEBODY, EDITOR, CHIEF]


def let_in(policy: Policy) -> list[Principal | None]:
    return [who for who in EVERYONE if policy.decide(who)]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (anyone, EVERYONE),
        (signed_in, [SOMEBODY, EDITOR, CHIEF]),
        (role("editor"), [EDITOR, CHIEF]),
        (role("chief"), [CHIEF]),
        (role("chief", "editor"), [EDITOR, CHIEF]),
        (role("Editor"), []),
        (role(), []),
        (role("editor") & role("chief"), [CHIEF]),
        (role("chief") | role("editor"), [EDITOR, CHIEF]),
        (signed_in & anyone, [SOMEBODY, EDITOR, CHIEF]),
        (signed_in | anyone, EVERYONE),
        (Policy("odd", lambda who: who is not None and who.user_id % 2 == 1), [SOMEBODY, CHIEF]),
    ],
    ids=lambda value: repr(value) if isinstance(value, Policy) else "",
)
def test_a_policy_lets_in(policy, expected) -> None:
    assert let_in(policy) == expected


@pytest.mark.parametrize(
    ("policy", "needed"),
    [
        (anyone, False),
        (signed_in, True),
        (role("editor"), True),
        (signed_in & anyone, True),
        (anyone & anyone, False),
        (signed_in | signed_in, True),
        (Policy("own", lambda _: True), True),
    ],
)
def test_nobody_is_identified_for_a_policy_that_does_not_look(policy, needed) -> None:
    assert policy.needs_principal is needed


def test_a_policy_that_anyone_passes_still_says_when_it_looks() -> None:
    assert (signed_in | anyone).decide(None)


def test_a_policy_shows_what_it_is() -> None:
    assert repr(role("editor", "chief")) == "role('editor', 'chief')"
    assert repr(signed_in & role("editor")) == "signed_in & role('editor')"
    assert repr(anyone | signed_in) == "anyone | signed_in"


def test_a_principal_is_who_it_is_and_not_which_row_was_read() -> None:
    assert Principal(7, user=object()) == Principal(7)
    assert "user=" not in repr(Principal(7, user=object()))
