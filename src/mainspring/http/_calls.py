"""Where a handler runs: on the loop, on a thread, or on a process."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from concurrent.futures import Executor, ProcessPoolExecutor


class Pools:
    """The threads and processes of an application; opened on first use, closed with it.

    Args:
        threads: at most so many `def` handlers run at once; more wait their turn.
        processes: the same for `cpu=True`; 0 means one per core.
    """

    def __init__(self, *, threads: int, processes: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="mainspring")
        self._processes = processes or os.cpu_count() or 1
        self._process_pool: ProcessPoolExecutor | None = None

    def bind(self, endpoint: Callable[..., Any], *, cpu: bool) -> Callable[..., Awaitable[Any]]:
        """`endpoint` as a coroutine function."""
        if inspect.iscoroutinefunction(endpoint):
            return endpoint
        return partial(self._on_process if cpu else self._on_thread, endpoint)

    async def _on_thread(self, endpoint: Callable[..., Any], *args: Any, **named: Any) -> Any:
        # The context goes along, so that logs of the thread carry the request's id.
        context = contextvars.copy_context()
        call = partial(context.run, endpoint, *args, **named)
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    async def _on_process(self, endpoint: Callable[..., Any], *args: Any, **named: Any) -> Any:
        call = partial(endpoint, *args, **named)
        return await asyncio.get_running_loop().run_in_executor(self._cpu(), call)

    def _cpu(self) -> Executor:
        if self._process_pool is None:
            # 1.5 MB for whoever has such a handler.
            import multiprocessing  # noqa: PLC0415
            from concurrent.futures import ProcessPoolExecutor  # noqa: PLC0415

            # Never fork a process that has threads and an event loop.
            context = multiprocessing.get_context("spawn")
            self._process_pool = ProcessPoolExecutor(self._processes, mp_context=context)
        return self._process_pool

    def close(self) -> None:
        """Give back the threads and processes; what is running is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._process_pool is not None:
            self._process_pool.shutdown(wait=False, cancel_futures=True)
