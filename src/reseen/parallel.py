"""Work shared out among processes, one for each core."""

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sized
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, as_completed, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, nullcontext, suppress
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for
from types import ModuleType
from typing import Any, TypeVar

import cv2

from reseen.errors import ReseenError

Result = TypeVar("Result")

Spread = Callable[[Callable[..., Any], Iterable[tuple[Any, ...]]], Iterator[Any]]
"""Calls a function that can be pickled for every task, wherever; gives results as they come."""

TASKS_PER_PROCESS = 4
"""Tasks handed out ahead of time, so that no process waits; more would only take memory."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # parameter numbers of glibc's malloc.h
_KEPT_BYTES = 32 * 2**20

_reports: Connection | None = None
"""In a working process: the way to the process that it works for."""


_stopped = False
"""In a working process: whether it is to take no further tasks."""


_one_core = False
"""Whether this process is one of several that share the cores."""


def take_one_core() -> None:
    """Work in one thread: other processes have the other cores."""
    global _one_core
    _one_core = True
    cv2.setNumThreads(1)


def has_one_core() -> bool:
    """Whether this process is one of several that share the cores."""
    return _one_core or multiprocessing.parent_process() is not None


def report(units: int) -> None:
    """Tell the process that this one works for how much of a task has just been done."""
    assert _reports is not None, "only what unordered calls can report"
    # All processes write to one pipe, without a lock that could die with its holder: what is as
    # short as a number arrives in one piece.
    _reports.send(units)


def unordered(
    work: Callable[..., Result],
    tasks: Iterable[tuple[Any, ...]],
    processes: int | None = None,
    advance: Callable[[int], object] = lambda _units: None,
) -> Iterator[Result]:
    """Call `work(*task)` for every task in several processes.

    The processes end when this one does, however it ends. When the work is given up (by an error,
    Ctrl-C, or because nobody wants more results), tasks that heed SIGINT get it, and no task that
    waits is begun.

    Args:
        work: a function that can be pickled.
        tasks: taken one by one, as processes become free.
        processes: as many as there are cores when None, and never more than a list has tasks.
        advance: called, in a thread of its own, with every number that `work` gives to `report`.

    Yields:
        What `work` returns, in the order in which it is finished.

    Raises:
        ReseenError: a process was killed. Whatever `work` raises comes through as it is.
    """
    processes = processes or os.cpu_count() or 1
    if isinstance(tasks, Sized):
        processes = max(1, min(processes, len(tasks)))
    # Spawned, not forked: a fork beside torch's threads can hang.
    context = multiprocessing.get_context("spawn")
    heard, reports = context.Pipe(duplex=False)
    stop_told, stop = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(processes, context, _start_process, (reports, stop_told))
    listener = threading.Thread(target=_listen, args=(heard, advance))
    listener.start()
    waiting: set[Future[Result]] = set()
    try:
        for task in tasks:
            with script_hidden() if work.__module__ != "__main__" else nullcontext():
                waiting.add(pool.submit(_do, work, task))
            if len(waiting) >= TASKS_PER_PROCESS * processes:
                finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in finished)
        yield from (future.result() for future in as_completed(waiting))
    except BrokenProcessPool as error:
        raise ReseenError(
            "a working process died; was memory short, start again to continue"
        ) from error
    finally:
        stop.close()
        pool.shutdown(cancel_futures=True)
        stop_told.close()
        reports.close()
        listener.join()


@contextmanager
def script_hidden() -> Iterator[None]:
    """Start processes without the script that runs, which they would run again, up to this call.

    What they work on is imported by its name, so that scripts need no `if __name__` of their own.
    """
    script = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script


def _listen(heard: Connection, advance: Callable[[int], object]) -> None:
    """Pass on what is reported until nobody is left who could."""
    with heard, suppress(EOFError):
        while True:
            advance(heard.recv())


def _start_process(reports: Connection, stop: Connection) -> None:
    global _reports
    _reports = reports
    take_one_core()
    signal.signal(signal.SIGINT, _take_no_more)  # Ctrl-C is for the parent
    threading.Thread(target=_end_with_parent, args=(stop,), daemon=True).start()
    _keep_freed_memory()


def _take_no_more(*_: object) -> None:
    global _stopped
    _stopped = True


def _do(work: Callable[..., Result], task: tuple[Any, ...]) -> Result:
    """In a working process: a task, unless the work was given up since it was handed out."""
    try:
        if _stopped:
            raise KeyboardInterrupt
        return work(*task)
    except KeyboardInterrupt:  # of a task that heeds SIGINT itself
        _take_no_more()
        raise


def _end_with_parent(stop: Connection) -> None:
    """Interrupt the task when the parent gives the work up; end with a parent that was killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    if parent.sentinel not in wait_for([parent.sentinel, stop]):
        os.kill(os.getpid(), signal.SIGINT)
        wait_for([parent.sentinel])
    os._exit(1)


def _keep_freed_memory() -> None:
    """Let the C library keep the buffers of one frame for the next.

    By default glibc returns blocks of that size to the system at once, and having them mapped and
    zeroed again for every frame takes longer than the optical flow itself.
    """
    if sys.platform == "linux" and hasattr(library := ctypes.CDLL(None), "mallopt"):
        library.mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
        library.mallopt(_MMAP_THRESHOLD, _KEPT_BYTES)
