"""Answer 504 when a route overruns, and end what it was doing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mainspring import deadline

if TYPE_CHECKING:
    from datetime import timedelta

    from mainspring.http._pipeline import Handler, Layer
    from mainspring.http._request import Request
    from mainspring.http._response import Response


def bound(limit: timedelta) -> Layer:
    """Cancel the rest of the pipeline after `limit` and raise `DeadlineExceeded`.

    `asyncio.timeout` does the same; this costs a third, since it is one timer and no object.
    """
    seconds = limit.total_seconds()

    def wrap(inner: Handler) -> Handler:
        async def handle(request: Request) -> Response:
            task = asyncio.current_task()
            expired = False

            def expire() -> None:
                nonlocal expired
                expired = True
                task.cancel()  # type: ignore[union-attr]  # a step that waits runs in a task

            timer = asyncio.get_running_loop().call_later(seconds, expire)
            token = deadline.start(seconds)
            try:
                return await inner(request)
            except asyncio.CancelledError:
                # Somebody else's cancellation (the client left) goes on its way.
                if expired and task is not None and task.uncancel() == 0:
                    raise deadline.DeadlineExceeded(
                        f"{request.route.title} took longer than {seconds:g} s"
                    ) from None
                raise
            finally:
                timer.cancel()
                deadline.end(token)

        return handle

    return wrap
