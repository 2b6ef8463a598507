"""A log of JSON lines, each of which stays until its time is over."""

import errno
import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from io import FileIO
from pathlib import Path
from typing import Any

from reseen.errors import ReseenError
from reseen.files import writing, written_aside

LOG_FILE = "log.jsonl"

BY: ContextVar[str | None] = ContextVar("BY", default=None)
"""Whose token stands behind what is being done; None where nobody had to bring one."""


def append_line(path: Path, entry: dict[str, Any]) -> None:
    """Append an entry with the present time to a file of JSON lines, and wait for the disk.

    Several processes may append at once: lines never mix.
    """
    stamped = {"time": round(time.time(), 3), **entry}
    if (by := BY.get()) is not None:
        stamped["by"] = by
    line = json.dumps(stamped, ensure_ascii=False, allow_nan=False).encode() + b"\n"
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with _held(path) as file:
            # The last writer may have died in the middle of its line.
            if file.seek(0, os.SEEK_END) and os.pread(file.fileno(), 1, file.tell() - 1) != b"\n":
                line = b"\n" + line
            if file.write(line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(file)


def drop_lines(path: Path, before: float) -> int:
    """Drop the entries of earlier times, and damaged lines; returns how many.

    Killed on the way, it has dropped all of them or none. Nothing is written where the first
    line, which is the oldest, may stay.
    """
    if not path.exists():
        return 0
    with writing(path), _held(path) as file:
        file.seek(0)
        if _time(file.readline()) >= before:
            return 0
        file.seek(0)
        lines = file.readlines()
        kept = [line for line in lines if _time(line) >= before]
        with written_aside(path) as temporary:
            temporary.chmod(0o600)
            temporary.write_bytes(b"".join(kept))
    return len(lines) - len(kept)


@contextmanager
def _held(path: Path) -> Iterator[FileIO]:
    """The file, made where it is missing, while every other process has to wait for it."""
    for_owner = partial(os.open, mode=0o600)
    while True:
        with open(path, "ab+", buffering=0, opener=for_owner) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            # Who was waited for may have put another in its place.
            if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
                yield file
                return


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The entries of a file of JSON lines; none when there is no file.

    A line cut short by a crash is passed over, since it was never acknowledged, and so is one that
    is damaged.
    """
    try:
        lines = path.read_bytes().split(b"\n") if path.exists() else []
    except OSError as error:
        raise ReseenError(f"{path} cannot be read: {error}") from error
    yield from filter(None, map(_entry, lines))


def _entry(line: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) else None


def _time(line: bytes) -> float:
    """When it was written; minus infinity where it does not tell."""
    time = (_entry(line) or {}).get("time")
    return float(time) if isinstance(time, int | float) else float("-inf")
