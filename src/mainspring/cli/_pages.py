"""The pages that explain errors: a part of the installed package, or of the repository."""

from __future__ import annotations

from pathlib import Path
from typing import Final

# A wheel carries the pages beside this file (see pyproject.toml); a checkout has them once,
# where the documentation is.
_PLACES: Final = (
    Path(__file__).parent / "pages",
    Path(__file__).parents[3] / "docs" / "errors",
)


def pages() -> dict[str, Path]:
    """Code to page, in the order of the codes; empty if the installation lacks them."""
    place = next((place for place in _PLACES if place.is_dir()), None)
    found = [] if place is None else sorted(place.glob("*.md"))
    return {page.stem: page for page in found if page.stem != "index"}


def first_sentence(page: Path) -> str:
    """What the page says first, for a list."""
    paragraphs = page.read_text(encoding="utf-8").split("\n\n")
    text = " ".join(paragraphs[1].split()) if len(paragraphs) > 1 else ""
    return text.partition(". ")[0].removesuffix(".")
