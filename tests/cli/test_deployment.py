from __future__ import annotations

import secrets

import pytest

from mainspring.cli._deployment import deployment
from mainspring.settings import Secret, Settings

KEY = secrets.token_hex()
FIT = {
    "secret_key": Secret(KEY),
    "allowed_hosts": ("shop.example",),
    "database_url": "postgresql://shop@db/shop",
}


def codes(*, development: dict[str, str] | None = None, **changed: object) -> list[str]:
    settings = Settings(**{**FIT, **changed})  # type: ignore[arg-type]
    rows = deployment(settings, development=development or {})
    return [row.finding.code for row in rows if row.finding is not None]


def test_a_deployment_that_is_fit_has_no_findings() -> None:
    assert codes() == []


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"debug": True}, "deploy.debug"),
        ({"secret_key": Secret("")}, "deploy.secret-key"),
        ({"secret_key": Secret("ab" * 20)}, "deploy.secret-key"),
        ({"allowed_hosts": ()}, "deploy.allowed-hosts"),
        ({"allowed_hosts": ("shop.example", "*")}, "deploy.allowed-hosts"),
        ({"database_url": "sqlite:///app.db"}, "deploy.database"),
        ({"forwarded_allow_ips": ("*",)}, "deploy.forwarded-allow-ips"),
    ],
)
def test_what_is_unfit_is_found(changed: dict[str, object], code: str) -> None:
    assert codes(**changed) == [code]


def test_the_key_of_a_developer_is_not_one_for_production() -> None:
    assert codes(development={"SECRET_KEY": KEY}) == ["deploy.secret-key"]
    assert codes(development={"SECRET_KEY": secrets.token_hex()}) == []


def test_sqlite_on_a_disk_that_stays_is_fit() -> None:
    assert codes(database_url="sqlite:////var/lib/shop/app.db") == []


def test_no_row_shows_the_key() -> None:
    settings = Settings(**{**FIT, "secret_key": Secret("ab" * 20)})  # type: ignore[arg-type]
    assert "abab" not in repr(list(deployment(settings, development={})))
