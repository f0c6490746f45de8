"""From `module:attribute` to an application."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from mainspring.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from mainspring.serve._server import Application


def _beyond_import(frames: TracebackType | None) -> TracebackType | None:
    """The frames from the application's own code on, without a dozen of Python's import."""
    while frames is not None and frames.tb_next is not None:
        filename = frames.tb_frame.f_code.co_filename
        if filename not in {__file__, importlib.__file__} and not filename.startswith("<frozen"):
            break
        frames = frames.tb_next
    return frames


class AppNotFound(ConfigError):
    """There is no application where the command line says."""

    code = "serve.app-not-found"


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """Imports make little garbage; looking for it among all that stays is a tenth of their time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def load_application(path: str) -> Application:
    """Import the application.

    Args:
        path: `module:attribute`; the attribute is `app` when left out.

    Raises:
        AppNotFound: no such module or attribute, or it is not an application.
    """
    module_name, _, attribute = path.partition(":")
    folder = os.getcwd()  # noqa: PTH109  # sys.path holds text
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        with _nothing_collected():
            module = importlib.import_module(module_name)
    except ModuleNotFoundError as exc:
        # A missing import inside the user's module is the user's error, and is shown as it is.
        if exc.name is None or not (module_name + ".").startswith(exc.name + "."):
            exc.__traceback__ = _beyond_import(exc.__traceback__)
            raise
        raise AppNotFound(
            f"there is no module {module_name!r} in {folder} or on the path",
            fix="give module:attribute, such as app:app, from the folder that holds the module",
        ) from None
    except Exception as exc:
        exc.__traceback__ = _beyond_import(exc.__traceback__)
        raise
    found = getattr(module, attribute or "app", None)
    if not hasattr(found, "running"):
        raise AppNotFound(
            f"{module_name}:{attribute or 'app'} is {type(found).__name__}, not an application",
            fix="name the App object; other ASGI applications can be mounted in one",
        )
    return cast("Application", found)
