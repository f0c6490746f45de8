"""What went wrong and what to do about it: the one root of every error that Mainspring raises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Finding:
    """The three facts of an error, for a check that reports instead of raising.

    Attributes:
        code: stable and dotted; the page `docs/errors/<code>.md` explains it.
        what: one sentence on what is wrong, with names and values.
        fix: one sentence on what to do; empty when there is nothing to do.
    """

    code: str
    what: str
    fix: str = ""

    def __str__(self) -> str:
        fix = f"\n  fix:  {self.fix}" if self.fix else ""
        return f"{self.what}{fix}\n  more: mainspring explain {self.code}"


class MainspringError(Exception):
    """The root: `except MainspringError` catches whatever the framework itself reports.

    A subclass exists where a caller would act differently, not for every message.
    """

    code: ClassVar[str] = "mainspring"

    def __init__(self, what: str, *, fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix

    @property
    def finding(self) -> Finding:
        """The same facts as a value."""
        return Finding(self.code, self.what, self.fix)

    def __str__(self) -> str:
        # Without the class's name: tracebacks and logs write it in front of this themselves.
        return str(self.finding)

    def __reduce__(self) -> tuple[Any, ...]:
        # Subclasses have constructors of their own, and an error must survive the way
        # back from a process pool, so the parts are carried instead of the call.
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(kind: type[MainspringError], args: tuple[Any, ...], facts: dict[str, Any]) -> object:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(facts)
    return error


class ConfigError(MainspringError):
    """The application cannot start the way it is configured."""

    code = "config.invalid"


class MissingExtra(ConfigError):
    """The feature exists, but a package that it needs is not installed."""

    code = "backend.missing-extra"

    def __init__(self, feature: str, *, package: str, extra: str) -> None:
        super().__init__(
            f"{feature} needs the package {package!r}, which is not installed",
            fix=f"pip install 'mainspring[{extra}]'",
        )


def suggestion(word: str, known: Iterable[str] | Mapping[str, str]) -> str:
    """`did you mean 'x'?` for the nearest of the known words, or an empty string.

    Args:
        word: what was written.
        known: the words to compare it with; a mapping says how each is to be shown.
    """
    # difflib is imported here because it costs a millisecond that only a mistake should pay.
    from difflib import get_close_matches  # noqa: PLC0415

    shown = known if isinstance(known, Mapping) else {each: each for each in known}
    near = get_close_matches(word, shown, n=1, cutoff=0.6)
    return f"did you mean {shown[near[0]]!r}?" if near else ""
