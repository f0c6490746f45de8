"""What an application says to structlog, into our lines."""

from __future__ import annotations

import sys
import traceback
from typing import TYPE_CHECKING, Any, NoReturn

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping


def take_over(say: Callable[[str, str, dict[str, Any]], None], *, level: int) -> None:
    """Hand every event of at least `level` to `say`: its level, its name, its facts."""

    def hand_over(_logger: Any, method: str, event: MutableMapping[str, Any]) -> NoReturn:
        facts = dict(event)
        say("error" if method == "exception" else method, str(facts.pop("event", "")), facts)
        raise structlog.DropEvent

    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, _exception, hand_over],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=False,
    )


def give_back() -> None:
    """Leave structlog as it is when nobody has configured it."""
    structlog.reset_defaults()


def _exception(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Any:
    """`exc_info` as the text of a traceback."""
    given = event.pop("exc_info", None)
    if given:
        error = given if isinstance(given, BaseException) else sys.exc_info()[1]
        if error is not None:
            event["exception"] = "".join(traceback.format_exception(error))
    return event
