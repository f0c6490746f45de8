"""`mainspring shell`: a prompt with the application, a session and the models at hand."""

from __future__ import annotations

import ast
import code
import inspect
import sys
from contextlib import AsyncExitStack, suppress
from importlib import import_module
from importlib.util import find_spec
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final

from mainspring.cli._command import OK, takes_application
from mainspring.cli._loop import LoopThread
from mainspring.cli._project import open_application
from mainspring.cli._report import traceback_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Coroutine
    from types import CodeType

    from mainspring.app import App
    from mainspring.cli._command import Parser
    from mainspring.cli._terminal import Terminal

    Scope = dict[str, Any]

_AWAIT_ANYWHERE: Final = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT


def arguments(parser: Parser) -> None:
    """Take the application, and code instead of a prompt."""
    takes_application(parser)
    parser.add_argument("-c", "--command", metavar="CODE", help="run this instead of a prompt")


def run(options: argparse.Namespace, terminal: Terminal) -> int:
    """Run code, from the option, a pipe or a person, while the application is open."""
    app = open_application(options.app)
    with LoopThread() as loop:
        stack = AsyncExitStack()
        scope = loop.wait(_open(app, stack))
        try:
            if options.command is not None:
                _execute(options.command, scope, loop)
            elif not sys.stdin.isatty():
                _execute(sys.stdin.read(), scope, loop)
            else:
                _prompt(scope, loop, terminal)
        finally:
            loop.wait(stack.aclose())
    return OK


async def _open(app: App, stack: AsyncExitStack) -> Scope:
    """The names at hand; what is not committed in the session is undone at the end."""
    await stack.enter_async_context(app.running())
    scope: Scope = {"app": app, "settings": app.settings}
    if "mainspring.data" in sys.modules:
        from mainspring.data import Model, func, select  # noqa: PLC0415  # an application without data pays nothing for it

        unit = app.database.unit()
        stack.push_async_callback(unit.rollback)
        models = {mapper.class_.__name__: mapper.class_ for mapper in Model.registry.mappers}
        scope = {**models, "select": select, "func": func, **scope, "db": unit.session}
    return scope


def _prompt(scope: Scope, loop: LoopThread, terminal: Terminal) -> None:
    names = ", ".join(sorted(scope, key=lambda name: (name[0].isupper(), name)))
    banner = (
        f"{terminal.paint('At hand:', 'bold')} {names}\n`await` works; `await db.commit()` keeps."
    )
    if find_spec("IPython") is not None:
        _ipython(scope, loop, banner)
        return
    with suppress(ImportError):  # not on every platform
        import_module("readline")
        import_module("rlcompleter")
    Console(scope, loop).interact(banner, exitmsg="")


def _ipython(scope: Scope, loop: LoopThread, banner: str) -> None:
    config = import_module("traitlets.config").Config()

    # A configuration is copied deeply, which a function survives and a method with its loop not.
    def wait(work: Coroutine[Any, Any, Any]) -> Any:
        return loop.wait(work)

    config.TerminalInteractiveShell.loop_runner = wait
    config.TerminalInteractiveShell.autoawait = True
    config.TerminalInteractiveShell.banner2 = f"{banner}\n"
    import_module("IPython").start_ipython(argv=[], user_ns=scope, config=config)


class Console(code.InteractiveConsole):
    """The standard library's prompt, with `await` on the application's loop.

    What does not await runs in the prompt's own thread, so that it may block.
    """

    def __init__(self, scope: Scope, loop: LoopThread) -> None:
        super().__init__(scope)
        self.compile.compiler.flags |= _AWAIT_ANYWHERE
        self._loop = loop

    def runcode(self, code: CodeType) -> None:
        """Run what was entered; what it raises is shown and ends nothing but itself."""
        try:
            _run(code, self.locals, self._loop)
        except SystemExit:
            raise
        except BaseException as exc:  # noqa: BLE001  # also an interruption: the prompt goes on
            self.write(traceback_of(exc, whole=False))


def _execute(source: str, scope: Scope, loop: LoopThread) -> None:
    _run(compile(source, "<shell>", "exec", flags=_AWAIT_ANYWHERE), scope, loop)


def _run(compiled: CodeType, scope: Any, loop: LoopThread) -> None:
    result = FunctionType(compiled, scope)()
    if inspect.iscoroutine(result):
        loop.wait(result)
