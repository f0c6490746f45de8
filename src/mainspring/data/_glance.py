"""One read outside of any unit of work, where it takes no waiting.

A handler that only returns a statement needs no transaction: one statement is one snapshot.
Where the database is read in place, it needs no task, timer or session either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mainspring.data import _observed
from mainspring.data._direct import READ, planned

if TYPE_CHECKING:
    from mainspring.data._backend import Backend
    from mainspring.data._pool import Pool

NOT_NOW: Final = object()
"""It has to wait, or be done by a unit of work for another reason."""


def glance(backend: Backend, pool: Pool, query: Any, into: Any, verb: str) -> Any:
    """What the session's `verb` gives for the statement, or `NOT_NOW`.

    Args:
        backend: the database.
        pool: its connections for reading.
        query: a hot statement with its values, or a `select`.
        into: a struct that rows become, unless the statement says it.
        verb: `all`, `first` or `one`.

    Raises:
        RowNotFound: `one` found none.
        MultipleResultsFound: `one` found several.
    """
    # Who counts statements counts them by their units.
    link = None if _observed.listening() else pool.take_idle()
    if link is None:
        return NOT_NOW
    try:
        plan, values = planned(backend, query, into, {})
        answer = backend.driver.send_now(link.raw, plan, *plan.call(values))
    except Exception:  # noqa: BLE001  # a unit of work will meet it again, and knows what to do
        return NOT_NOW
    finally:
        pool.give_back(link)
    return NOT_NOW if answer is None else READ[verb](plan, answer[0], values)
