from __future__ import annotations

import tomllib
from pathlib import Path

from mainspring.cli._pages import _PLACES, first_sentence, pages

ROOT = Path(__file__).parents[2]


def test_a_wheel_carries_the_pages_where_the_command_looks_for_them() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    included = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    target = ROOT / "src" / included["docs/errors"]
    assert target == _PLACES[0]
    assert not target.exists(), "a checkout has the pages once"


def test_every_page_is_found_and_begins_with_a_sentence() -> None:
    found = pages()
    assert set(found) == {page.stem for page in (ROOT / "docs" / "errors").glob("*.md")} - {"index"}
    assert all(first_sentence(page) for page in found.values())


def test_the_first_sentence_is_on_one_line_without_its_stop(tmp_path: Path) -> None:
    page = tmp_path / "x.md"
    page.write_text("# x\n\nIt broke\nin two. Badly.\n\n## Why\n")
    assert first_sentence(page) == "It broke in two"
