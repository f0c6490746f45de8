from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mainspring.cli._errors import UsageError
from mainspring.cli._template import write_project
from mainspring.cli.new import package_name

if TYPE_CHECKING:
    from pathlib import Path

NAMES = {"name": "my-shop", "package": "my_shop", "secret_key": "k" * 64}


@pytest.mark.parametrize(
    ("name", "package"), [("shop", "shop"), ("my-shop", "my_shop"), ("shop2", "shop2")]
)
def test_a_name_becomes_a_package(name: str, package: str) -> None:
    assert package_name(name) == package


@pytest.mark.parametrize(
    ("name", "offered"),
    [
        ("Shop", "shop"),
        ("MyShop", "my-shop"),
        ("2shops", "shops"),
        ("my shop", "my-shop"),
        ("shop.app", "shop-app"),
        ("class", "class-app"),
        ("Käse", "k-se"),
        ("", "shop"),
        ("日本", "shop"),
        ("json", "json-app"),
        ("mainspring", "mainspring-app"),
        ("tests", "tests-app"),
    ],
)
def test_a_name_that_no_package_can_have_is_answered_with_one_that_can(
    name: str, offered: str
) -> None:
    with pytest.raises(UsageError) as caught:
        package_name(name)
    assert caught.value.fix == f"mainspring new {offered}"
    assert package_name(offered)


def test_the_template_is_filled_in_everywhere(tmp_path: Path) -> None:
    files = write_project(tmp_path, NAMES)
    texts = {str(path.relative_to(tmp_path)): path.read_text(encoding="utf-8") for path in files}
    assert {".env", ".env.example", ".gitignore", "README.md", "pyproject.toml"} <= texts.keys()
    assert "my_shop/app.py" in texts
    assert not [name for name, text in texts.items() if "$" in text.replace("$$", "")]
    assert 'app = "my_shop.app:app"' in texts["pyproject.toml"]
    assert f"SECRET_KEY={'k' * 64}" in texts[".env"]
    assert "k" * 64 not in "".join(text for name, text in texts.items() if name != ".env")
    assert ".env\n" in texts[".gitignore"]


def test_a_file_that_exists_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(FileExistsError):
        write_project(tmp_path, NAMES)
    assert (tmp_path / "README.md").read_text() == "mine"
