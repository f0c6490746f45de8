"""Every page of the documentation is run. CONTRIBUTING.md says how a page is to be written."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from tests.docs.blocks import blocks_of
from tests.docs.page import ROOT, CommandMissing, Page

if TYPE_CHECKING:
    from pathlib import Path

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

# How many blocks of a page are shown and not run. The page gives the reason of each; a number
# here makes one more a decision instead of a slip.
NOT_RUN: dict[str, int] = {
    "README.md": 1,
    "CONTRIBUTING.md": 1,
    "docs/why/server.md": 3,
    "docs/why/speed.md": 2,
}

_CODE = re.compile(r"^[ ]*```.*?^[ ]*```|`[^`]*`", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?P<target>[^)\s#]+)(?:#[^)]*)?\)")


def _name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.timeout(180)
@pytest.mark.parametrize("path", PAGES, ids=_name)
def test_what_the_page_shows_is_what_happens(path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "reader"
    folder.mkdir()
    with Page(path, folder) as page:
        try:
            page.run()
        except CommandMissing as exc:
            if os.environ.get("CI") == "true":
                raise
            pytest.skip(str(exc))


def test_the_blocks_that_are_not_run_are_counted() -> None:
    counts = {
        _name(page): sum(bool(block.not_run) for block in blocks_of(page.read_text("utf-8")))
        for page in PAGES
    }
    assert {name: count for name, count in counts.items() if count} == NOT_RUN


@pytest.mark.parametrize("path", PAGES, ids=_name)
def test_the_links_of_the_page_lead_to_files_that_exist(path: Path) -> None:
    prose = _CODE.sub("", path.read_text(encoding="utf-8"))
    targets = {match["target"] for match in _LINK.finditer(prose)}
    local = {target for target in targets if not re.match(r"[a-z]+:", target)}
    assert not [target for target in local if not (path.parent / target).exists()]
