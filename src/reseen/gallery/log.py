"""A log of JSON lines that only grows."""

import errno
import fcntl
import json
import os
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from reseen.errors import ReseenError
from reseen.files import writing

LOG_FILE = "log.jsonl"


def append_line(path: Path, entry: dict[str, Any]) -> None:
    """Append an entry with the present time to a file of JSON lines, and wait for the disk.

    Several processes may append at once: lines never mix.
    """
    stamped = {"time": round(time.time(), 3), **entry}
    line = json.dumps(stamped, ensure_ascii=False, allow_nan=False).encode() + b"\n"
    for_owner = partial(os.open, mode=0o600)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "ab+", buffering=0, opener=for_owner) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            # The last writer may have died in the middle of its line.
            if file.seek(0, os.SEEK_END) and os.pread(file.fileno(), 1, file.tell() - 1) != b"\n":
                line = b"\n" + line
            if file.write(line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(file)


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The entries of a file of JSON lines; none when there is no file.

    A line cut short by a crash is passed over, since it was never acknowledged, and so is one that
    is damaged.
    """
    try:
        lines = path.read_bytes().split(b"\n") if path.exists() else []
    except OSError as error:
        raise ReseenError(f"{path} cannot be read: {error}") from error
    for line in lines:
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, dict):
            yield entry
