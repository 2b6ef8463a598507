"""Work shared out among the machines of a Ray cluster."""

import os
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from reseen.errors import ReseenError
from reseen.parallel import Task, few_ahead, take_one_core

Result = TypeVar("Result")

RETRIES = 10
"""How often a task is begun anew whose process or machine died."""

ANSWERS_WITHIN = 5.0
"""Seconds in which a cluster takes a connection."""

TASKS_PER_PROCESSOR = 2
"""Tasks handed out ahead of time, so that no processor waits; more would only take memory."""


def unordered_on_ray(
    work: Callable[..., Result],
    tasks: Iterable[Task],
    address: str = "auto",
    gpus: float = 0.0,
    died: Callable[[Task], object] | None = None,
) -> Iterator[Result]:
    """Call `work(*task)` for every task on some machine of a Ray cluster.

    What a task is given and what `work` reads and writes must be the same at every machine, and
    so must be reseen's version. A task whose process or machine dies is begun anew elsewhere.

    Args:
        work: a function that can be pickled.
        tasks: taken one by one, as processors become free.
        address: the cluster's, HOST:PORT; "auto" for the one that this machine belongs to, "local"
            for one that is started here and ends with the work.
        gpus: GPUs, or the share of one, that every task takes.
        died: told of a task whose process died again and again; None where that ends all.

    Yields:
        What `work` returns, in the order in which it is finished.

    Raises:
        ReseenError: Ray is not installed, there is no such cluster, or a task's process died again
            and again. Whatever `work` raises comes through as it is.
    """
    ray = _imported()
    with _connected(ray, address):
        try:
            remote = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=RETRIES)(_alone)
            for found, task in few_ahead(
                lambda task: remote.remote(work, task),
                tasks,
                lambda: TASKS_PER_PROCESSOR * int(ray.cluster_resources().get("CPU", 1)),
                lambda waiting: ray.wait(waiting)[0][0],
            ):
                try:
                    yield ray.get(found)
                except ray.exceptions.WorkerCrashedError:
                    if died is None:
                        raise
                    died(task)
        except ray.exceptions.RayTaskError as error:
            raise error.cause from error
        except ray.exceptions.RayError as error:
            reason = str(error).partition("\n")[0]
            raise ReseenError(
                f"the Ray cluster gave up: {reason}; what was done is kept, start again to go on"
            ) from error


def _imported() -> Any:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # nothing is sent anywhere
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise ReseenError("Ray is not installed: pip install 'reseen[ray]'") from error
    return ray


@contextmanager
def _connected(ray: Any, address: str) -> Iterator[None]:
    """Be part of a cluster for as long as there is work."""
    started = {"include_dashboard": False} if address == "local" else {}
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        if host:  # Ray itself would try for minutes
            socket.create_connection((host, int(port)), ANSWERS_WITHIN).close()
        ray.init(address, log_to_driver=False, logging_level="ERROR", **started)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        if "AuthToken" in str(error):
            raise ReseenError(
                f"the Ray cluster at {address} wants its token: set RAY_AUTH_MODE=token and copy "
                "~/.ray/auth_token from its first machine"
            ) from error
        raise ReseenError(
            f"no Ray cluster answers at {address}; start one on its first machine, ray start "
            "--head, or use --workers on this one"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _alone(work: Callable[..., Result], task: Task) -> Result:
    """On some machine: a task, in one thread, since the machine's processors share them already."""
    take_one_core()
    return work(*task)
