"""The same work on many things, side by side on the cores of one machine."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait as wait_for
from typing import TypeVar

import cv2

from reseen.errors import ReseenError

Outcome = TypeVar("Outcome")

TASKS_PER_PROCESS = 4
"""Tasks handed out ahead of time, so that no process waits for the next one."""


def in_parallel(
    work: Callable[..., Outcome], tasks: Iterable[tuple[object, ...]], processes: int | None = None
) -> Iterator[Outcome]:
    """Call `work` with the arguments of each task, each call in one of several processes.

    Args:
        work: a function of a module, so that another process can find it.
        tasks: tuples of arguments, taken one by one as processes become free.
        processes: how many work side by side; as many as there are cores when None.

    Yields:
        What `work` returned, in whatever order the tasks finish.

    Raises:
        ReseenError: a process was killed; and whatever `work` raises.
    """
    waiting: set[Future[Outcome]] = set()
    count = processes or os.cpu_count() or 1
    # Spawned, not forked: a fork beside torch's threads can hang.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(count, context, initializer=_start_worker)
    try:
        for task in tasks:
            waiting.add(pool.submit(work, *task))
            if len(waiting) >= TASKS_PER_PROCESS * count:
                finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in finished)
        yield from (future.result() for future in waiting)
    except BrokenProcessPool as error:
        raise ReseenError(
            "a working process was killed (out of memory?); give the same command again"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker() -> None:
    cv2.setNumThreads(1)  # the processes share the cores already
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process when its parent was killed and could not end it."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait_for([parent.sentinel])
    os._exit(1)
