"""The application's `migrations/` folder: numbered files in one line, oldest first."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from alembic.script import ScriptDirectory
from alembic.util import CommandError

from mainspring.errors import suggestion
from mainspring.migrations._errors import BrokenMigrations, UnknownMigration

if TYPE_CHECKING:
    from alembic.script import Script

_DIGITS = 4
_MAX_SLUG = 40

_TEMPLATE = '''\
"""{message}."""

import sqlalchemy as sa
from alembic import op
{imports}
revision = "{revision}"
down_revision = {after!r}


def upgrade() -> None:
    {upgrade}


def downgrade() -> None:
    {downgrade}
'''


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of the folder.

    Attributes:
        revision: its number, four digits; what the database remembers.
        message: the first line of the file.
        path: where it is.
    """

    revision: str
    message: str
    path: Path

    def __str__(self) -> str:
        return self.path.stem


class Folder:
    """What is in the folder, read once.

    Raises:
        BrokenMigrations: the files are not one line.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        self.script = ScriptDirectory(path, version_locations=[path])
        self.migrations = self._read()

    @property
    def head(self) -> str | None:
        """The newest migration's number."""
        return self.migrations[-1].revision if self.migrations else None

    def find(self, name: str) -> Migration:
        """The migration of that number, or whose file's name begins so.

        Raises:
            UnknownMigration: there is none, or more than one.
        """
        found = [m for m in self.migrations if str(m).startswith(name)]
        if name and len(found) == 1:
            return found[0]
        raise UnknownMigration(
            f"{self.path} has no single migration {name!r}",
            fix=suggestion(name, [str(m) for m in self.migrations]) or "see `mainspring migrate`",
        )

    def write(self, message: str, *, imports: set[str], upgrade: str, downgrade: str) -> Path:
        """A new file behind the newest one."""
        number = f"{self._next_number():0{_DIGITS}d}"
        path = self.path / f"{number}_{_slug(message)}.py"
        text = _TEMPLATE.format(
            message=message.strip().rstrip(".").replace('"', "'") or "Change the schema",
            imports="".join(f"{line}\n" for line in sorted(imports)),
            revision=number,
            after=self.head,
            upgrade=_body(upgrade),
            downgrade=_body(downgrade),
        )
        path.write_text(text, encoding="utf-8")
        return path

    def _next_number(self) -> int:
        numbers = [int(m.revision) for m in self.migrations if m.revision.isdigit()]
        return max(numbers, default=0) + 1

    def _read(self) -> list[Migration]:
        try:
            heads = self.script.get_heads()
            if len(heads) > 1:
                raise BrokenMigrations(
                    f"{self.path} has {len(heads)} newest migrations: {', '.join(sorted(heads))}",
                    fix="let the later one's down_revision name the other, and renumber its file",
                )
            newest_first = list(self.script.walk_revisions()) if heads else []
        except (CommandError, SyntaxError, ImportError, KeyError) as exc:
            raise BrokenMigrations(
                f"{self.path} cannot be read: {exc}", fix="correct or remove the file"
            ) from exc
        return [_migration(script) for script in reversed(newest_first)]


def _migration(script: Script) -> Migration:
    return Migration(script.revision, script.doc.rstrip("."), Path(script.path))


def _slug(message: str) -> str:
    words = re.sub(r"[^a-z0-9]+", "_", message.lower()).strip("_")
    return words[:_MAX_SLUG].rstrip("_") or "change"


def _body(code: str) -> str:
    lines = [line for line in code.splitlines() if not line.lstrip().startswith("# ###")]
    return "\n".join(line.rstrip() for line in lines).strip() or "pass"
