"""Templates on Jinja: escaped always, complete before the start, strict about names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
from jinja2 import meta

from mainspring.errors import ConfigError, suggestion

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mainspring.http._request import Request


class TemplateError(ConfigError):
    """A template is missing, or cannot be read."""

    code = "http.template"


class Templates:
    """The templates below some folders.

    Values are escaped in every file, whatever its name ends with. A name that nobody gave a
    value is an error. A template is read once, unless `reload`.

    Args:
        folders: the first that has a template wins.
        reload: look at the files again each time.
        filters: functions for `{{ value | name }}`.

    Attributes:
        reload: see above.

    Raises:
        TemplateError: a folder does not exist.
    """

    def __init__(
        self,
        folders: Sequence[str | Path],
        *,
        reload: bool = False,
        filters: Mapping[str, Callable[..., Any]] | None = None,
    ) -> None:
        self.reload = reload
        self._names: list[str] = []
        self._folders = [Path(folder).resolve() for folder in folders]
        for folder in self._folders:
            if not folder.is_dir():
                raise TemplateError(
                    f"there is no folder {folder} for templates",
                    fix="make it, or give another to app.templates()",
                )
        self.environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(self._folders),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            auto_reload=reload,
            # All of them are read at start and stay; the default forgets after 400.
            cache_size=-1,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.environment.filters |= filters or {}

    def check(self, extra: Mapping[str, Any]) -> None:
        """Read every template, and see that those they extend, include or import exist.

        Args:
            extra: more names that every template knows.

        Raises:
            TemplateError: names the first that cannot be used, with its line.
        """
        self.environment.globals |= extra
        self._names = names = self.environment.list_templates()
        for name in names:
            self._get(name)
            source, path, _ = self.environment.loader.get_source(  # type: ignore[union-attr]  # set above
                self.environment, name
            )
            for other in meta.find_referenced_templates(self.environment.parse(source)):
                if other is not None and other not in names:
                    raise TemplateError(
                        f"{path} uses the template {other!r}, and there is none",
                        fix=self._nearest(other),
                    )

    def render(
        self, name: str, context: Mapping[str, Any], *, request: Request | None = None
    ) -> str:
        """The text of a template.

        Args:
            name: its path below its folder.
            context: values by name.
            request: what the page is for; None for mail and the like.

        Raises:
            TemplateError: there is none of the name, or it cannot be read.
            jinja2.UndefinedError: it uses a name that has no value.
        """
        return self._get(name).render({"request": request, **context})

    def _get(self, name: str) -> jinja2.Template:
        if self._names and not self.reload and name not in self._names:
            raise self._missing(name)
        try:
            return self.environment.get_template(name)
        except jinja2.TemplateNotFound as exc:
            raise self._missing(str(exc.name)) from None
        except jinja2.TemplateSyntaxError as exc:
            raise TemplateError(
                f"{exc.filename or exc.name}, line {exc.lineno}: {exc.message}",
                fix="correct the template",
            ) from None
        except UnicodeDecodeError as exc:
            raise TemplateError(f"template {name!r} is not UTF-8: {exc}") from None

    def _missing(self, name: str) -> TemplateError:
        return TemplateError(
            f"there is no template {name!r} in {', '.join(map(str, self._folders))}",
            fix=self._nearest(name),
        )

    def _nearest(self, name: str) -> str:
        return (
            suggestion(name, self._names or self.environment.list_templates())
            or "make it, or correct the name"
        )


def bound_path_for(path_for: Callable[..., str]) -> Callable[..., str]:
    """`path_for` as templates use it: below wherever the application is mounted."""

    @jinja2.pass_context
    def bound(context: jinja2.runtime.Context, name: str, /, **parameters: Any) -> str:
        request = context.get("request")
        root = "" if request is None else request.root_path
        return f"{root}{path_for(name, **parameters)}"

    return bound
