"""Work shared out among processes, one for each core."""

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sized
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from itertools import islice
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for
from queue import SimpleQueue
from types import ModuleType
from typing import Any, TypeVar

import cv2

from reseen.errors import ReseenError

Result = TypeVar("Result")
Begun = TypeVar("Begun")
Task = tuple[Any, ...]

Spread = Callable[..., Iterator[Any]]
"""Calls a function that can be pickled for every task, wherever, as `unordered(work, tasks)` does;
`died`, too, is as there."""

TASKS_PER_PROCESS = 4
"""Tasks handed out ahead of time, so that no process waits; more would only take memory."""

DIED = "a working process died; was memory short, start again to continue"

TRIES = 3
"""How often a task is begun whose process dies: memory may be there again the next time."""

_starting = threading.Lock()
"""Held while a process is started without the script."""

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # parameter numbers of glibc's malloc.h
_KEPT_BYTES = 32 * 2**20  # more than a frame's buffers

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
    tasks: Iterable[Task],
    processes: int | None = None,
    advance: Callable[[int], object] = lambda _units: None,
    died: Callable[[Task], object] | None = None,
) -> Iterator[Result]:
    """Call `work(*task)` for every task in several processes.

    The processes end when this one does, however it ends. When the work is given up (by an error,
    Ctrl-C, or because nobody wants more results), tasks that heed SIGINT get it, and no task that
    waits is begun. A task whose process dies is begun anew in another.

    Args:
        work: a function that can be pickled.
        tasks: taken one by one, as processes become free.
        processes: as many as there are cores when None, and never more than a list has tasks.
        advance: called, in a thread of its own, with every number that `work` gives to `report`.
        died: told of a task whose process died at every one of `TRIES`; None where that ends all.

    Yields:
        What `work` returns, in the order in which it is finished.

    Raises:
        ReseenError: a task's processes died. Whatever `work` raises comes through as it is.
    """
    processes = processes or os.cpu_count() or 1
    processes = max(1, min(processes, len(tasks))) if isinstance(tasks, Sized) else processes
    # Spawned, not forked: a fork beside torch's threads can hang.
    context = multiprocessing.get_context("spawn")
    heard, reports = context.Pipe(duplex=False)
    stop_told, stop = context.Pipe(duplex=False)
    begin = partial(ProcessPoolExecutor, 1, context, _start_process, (reports, stop_told))
    lanes = _Lanes(processes, begin)
    threads = ThreadPoolExecutor(processes)
    listener = threading.Thread(target=_listen, args=(heard, advance))
    listener.start()
    try:
        most = TASKS_PER_PROCESS * processes
        begun = few_ahead(lambda task: threads.submit(lanes.do, work, task), tasks, lambda: most)
        for future, task in begun:
            try:
                yield future.result()
            except BrokenProcessPool as error:
                if died is None:
                    raise ReseenError(DIED) from error
                died(task)
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
        stop.close()
        threads.shutdown()
        lanes.close()
        stop_told.close()
        reports.close()
        listener.join()


class _Lanes:
    """Processes in a pool each, so that of one that dies it is known what it was working at."""

    def __init__(self, processes: int, begin: Callable[[], ProcessPoolExecutor]) -> None:
        self._begin, self._processes = begin, processes
        self._free = SimpleQueue[ProcessPoolExecutor]()
        for _ in range(processes):
            self._free.put(begin())

    def do(self, work: Callable[..., Result], task: Task) -> Result:
        """A task's result, from a free process; where that dies, from another."""
        pool, deaths = self._free.get(), 0
        try:
            while True:
                try:
                    with script_hidden() if work.__module__ != "__main__" else nullcontext():
                        future = pool.submit(_do, work, task)
                    return future.result()
                except BrokenProcessPool:
                    pool.shutdown()
                    pool, deaths = self._begin(), deaths + 1
                    if deaths >= TRIES:
                        raise
        finally:
            self._free.put(pool)

    def close(self) -> None:
        """End the processes, which are all free."""
        for _ in range(self._processes):
            self._free.get().shutdown()


def ahead(items: Iterator[Result], most: int) -> Iterator[Result]:
    """The same items, made in a thread, at most so many of them before they are asked for.

    One of several processes that share the cores makes each when it is asked for.
    """
    if has_one_core():
        yield from items
        return
    with ThreadPoolExecutor(1) as thread:
        made = deque(thread.submit(list, islice(items, 1)) for _ in range(most))
        try:
            while one := made.popleft().result():
                made.append(thread.submit(list, islice(items, 1)))
                yield from one
        finally:
            thread.shutdown(cancel_futures=True)


def few_ahead(
    begin: Callable[[Task], Begun],
    tasks: Iterable[Task],
    most: Callable[[], int],
    wait: Callable[[list[Any]], Any] = lambda futures: next(as_completed(futures)),
) -> Iterator[tuple[Begun, Task]]:
    """What was begun of each task as it finishes; when `most` wait, no further one is begun.

    Args:
        wait: gives one that is finished of those begun.
    """
    waiting: dict[Begun, Task] = {}
    for task in tasks:
        waiting[begin(task)] = task
        if len(waiting) >= most():
            found = wait([*waiting])
            yield found, waiting.pop(found)
    while waiting:
        found = wait([*waiting])
        yield found, waiting.pop(found)


@contextmanager
def script_hidden() -> Iterator[None]:
    """Start processes without the script that runs, which they would run again, up to this call.

    What they work on is imported by its name, so that scripts need no `if __name__` of their own.
    """
    with _starting:
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
    keep_freed_memory(_KEPT_BYTES)


def _take_no_more(*_: object) -> None:
    global _stopped
    _stopped = True


def _do(work: Callable[..., Result], task: Task) -> Result:
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


def keep_freed_memory(most: int) -> None:
    """Let the C library keep so many freed bytes for what is needed next, in this process.

    By default glibc returns large blocks to the system at once, and having them mapped and zeroed
    again, page by page, takes longer than a frame's optical flow and up to a quarter of a training
    step. No number changes. Other C libraries are left as they are.
    """
    if sys.platform == "linux" and hasattr(library := ctypes.CDLL(None), "mallopt"):
        library.mallopt(_MMAP_MAX, 0)
        library.mallopt(_TRIM_THRESHOLD, most)
