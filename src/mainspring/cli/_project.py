"""Where the application is: the folder that is worked in, and `module:attribute`."""

from __future__ import annotations

import os
import sys
import tomllib
from dataclasses import dataclass
from importlib import import_module, invalidate_caches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mainspring.cli._errors import ApplicationNotFound, BrokenApplication, UsageError
from mainspring.errors import MainspringError, suggestion

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mainspring.app import App

MIGRATIONS: Final = Path("migrations")
"""Where an application keeps its migrations, from its project's folder."""

_DEFAULT: Final = "app:app"


@dataclass(frozen=True, slots=True)
class Project:
    """A folder and the application in it.

    Attributes:
        folder: where `pyproject.toml` is, or where the command was given.
        target: `module:attribute`.
        source: who said so, for messages.
    """

    folder: Path
    target: str
    source: str

    def enter(self, *, development: bool = False) -> None:
        """Work in the folder, and let its modules, and those of its `src`, be imported.

        Relative paths, such as that of a SQLite file, then mean the same from wherever in
        the project a command is given.

        Args:
            development: take a folder that has a `.env` for a developer's, unless the
                environment says what it is. Only what serves others does not.
        """
        os.chdir(self.folder)
        for folder in (self.folder, self.folder / "src"):
            if folder.is_dir() and str(folder) not in sys.path:
                sys.path.insert(0, str(folder))
        invalidate_caches()
        if development and (self.folder / ".env").is_file():
            os.environ.setdefault("DEBUG", "1")


def find_project(
    app: str | None, *, start: Path | None = None, environ: Mapping[str, str] | None = None
) -> Project:
    """The nearest project upwards, and its application.

    The first of these says where the application is: the option, `MAINSPRING_APP`,
    `[tool.mainspring]` of the nearest `pyproject.toml` that has that table, `app:app`.

    Args:
        app: what the option `--app` says.
        start: instead of the working directory.
        environ: instead of the process environment.
    """
    start = start or Path.cwd()
    environ = os.environ if environ is None else environ
    folder, table = _nearest(start)
    said = {
        "--app": app,
        "MAINSPRING_APP": environ.get("MAINSPRING_APP"),
        f"{folder / 'pyproject.toml'}": table.get("app"),
    }
    source, target = next(((s, t) for s, t in said.items() if t), ("", _DEFAULT))
    return Project(folder, str(target), source)


def _nearest(start: Path) -> tuple[Path, dict[str, Any]]:
    for folder in (start, *start.parents):
        path = folder / "pyproject.toml"
        if path.is_file():
            table = _table(path)
            if table is not None:
                return folder, table
    return start, {}


def _table(path: Path) -> dict[str, Any] | None:
    try:
        whole = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as exc:
        raise ApplicationNotFound(
            f"{path} is not TOML: {exc}", fix="mend the line it names"
        ) from exc
    found: dict[str, Any] | None = whole.get("tool", {}).get("mainspring")
    return found


def has_migrations() -> bool:
    """Whether the project has any; looking for them must not make their folder."""
    return any(MIGRATIONS.glob("*.py"))


def open_application(app: str | None) -> App:
    """Enter the project, as a developer does, and import its application.

    Raises:
        UsageError: the option is not `module:attribute`.
        ApplicationNotFound: no such module or attribute, or it is something else.
        BrokenApplication: its code fails while it is imported.
    """
    project = find_project(app)
    project.enter(development=True)
    return load(project)


def load(project: Project) -> App:
    """Import the application of a project that has been entered; errors as `open_application`."""
    module_name, colon, attribute = project.target.partition(":")
    if not (module_name and colon and attribute):
        kind = UsageError if project.source == "--app" else ApplicationNotFound
        raise kind(
            f"{project.target!r}{_said(project)} is not module:attribute",
            fix=f"write {module_name or 'app'}:{attribute or 'app'}",
        )
    module = _import(module_name, project)
    found: Any = module
    for name in attribute.split("."):
        found = getattr(found, name, None)
    return _checked(found, module, attribute, project)


def _import(name: str, project: Project) -> Any:
    try:
        return import_module(name)
    except MainspringError:
        raise
    except ModuleNotFoundError as exc:
        if exc.name is not None and (name == exc.name or name.startswith(f"{exc.name}.")):
            raise _no_module(exc.name, project) from None
        raise _broken(name, exc, fix=f"install {exc.name!r}, or correct its name") from exc
    except Exception as exc:
        raise _broken(name, exc, fix="the traceback above ends where it failed") from exc


def _broken(name: str, cause: Exception, *, fix: str) -> BrokenApplication:
    return BrokenApplication(f"{name} cannot be imported: {type(cause).__name__}: {cause}", fix=fix)


def _no_module(missing: str, project: Project) -> ApplicationNotFound:
    if not project.source:
        return ApplicationNotFound(
            f"there is no application here: no pyproject.toml with [tool.mainspring] in"
            f" {project.folder} or above, and no app.py",
            fix="go to the project's folder, say --app module:attribute, or begin with"
            " mainspring new NAME",
        )
    nearest = suggestion(missing, _modules(project.folder))
    return ApplicationNotFound(
        f"there is no module {missing!r} in {project.folder}{_said(project)}",
        fix=nearest or "write the module as it is imported from that folder",
    )


def _modules(folder: Path) -> list[str]:
    places = [place for place in (folder, folder / "src") if place.is_dir()]
    found = [path for place in places for path in place.iterdir()]
    return [path.stem for path in found if path.suffix == ".py" or (path / "__init__.py").is_file()]


def _checked(found: Any, module: Any, attribute: str, project: Project) -> App:
    from mainspring.app import App  # noqa: PLC0415  # the application has imported it, or is none

    if isinstance(found, App):
        return found
    apps = [name for name, value in vars(module).items() if isinstance(value, App)]
    what = "nothing" if found is None else f"a {type(found).__name__} and not a mainspring.App"
    fix = f"it has {', '.join(apps)}: write {module.__name__}:{apps[0]}" if apps else ""
    raise ApplicationNotFound(
        f"{attribute!r} of {module.__name__}{_said(project)} is {what}",
        fix=fix or "create one there: app = App('name')",
    )


def _said(project: Project) -> str:
    return f" (named by {project.source})" if project.source else ""
