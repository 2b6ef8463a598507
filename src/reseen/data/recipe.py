"""What a store is made from: its settings and its pictures, so that a change can be named."""

import hashlib
import json
import os
from dataclasses import astuple
from pathlib import Path
from typing import Any

from reseen.data.store import FORMAT
from reseen.data.tracklet import Benchmark, BenchmarkTracklet
from reseen.errors import ReseenError

Recipe = dict[str, Any]


def recipe_of(benchmark: Benchmark, flow: str) -> Recipe:
    """Describe what a store is made from, as JSON.

    Returns:
        The settings `format`, `dataset`, `flow` and `splits`, and under `sources` a digest for
        each tracklet by name: of its person, its camera, and its files' names, sizes and times.
    """
    return {
        "format": FORMAT,
        "dataset": benchmark.dataset,
        "flow": flow,
        "splits": _digest([astuple(split) for split in benchmark.splits]),
        "sources": {tracklet.name: _source(tracklet) for tracklet in benchmark.tracklets},
    }


def fingerprint(recipe: Recipe) -> str:
    """A short text that changes whenever anything in the recipe does."""
    return _digest(recipe)


def check_unchanged(path: Path, written: Recipe, wanted: Recipe) -> None:
    """Check that what lies at `path` was made from the recipe that is wanted now.

    Raises:
        ReseenError: naming the first setting or tracklet that differs.
    """
    change = _first_change(written, wanted)
    if change:
        raise ReseenError(f"{path} was prepared {change}; remove it or choose another --out")


def _first_change(written: Recipe, wanted: Recipe) -> str | None:
    for setting in ("format", "dataset", "flow"):
        if written.get(setting) != wanted[setting]:
            return f"with {setting} {written.get(setting)}, not {wanted[setting]}"
    if written.get("sources") != wanted["sources"]:
        return _changed_source(written.get("sources", {}), wanted["sources"])
    if written.get("splits") != wanted["splits"]:
        return "with other splits into training and test people"
    return None


def _changed_source(written: dict[str, str], wanted: dict[str, str]) -> str:
    name = next(name for name in wanted | written if written.get(name) != wanted.get(name))
    if name not in written:
        return f"without tracklet {name}, which has come since"
    if name not in wanted:
        return f"with tracklet {name}, which has gone since"
    return f"from other pictures of tracklet {name}, which have changed since"


def _source(tracklet: BenchmarkTracklet) -> str:
    folder = str(tracklet.folder)
    # Paths as text: a `Path` for each of a million files is slow.
    stamps = [_stamp(f"{folder}{os.sep}{file}") for file in tracklet.files]
    return _digest([tracklet.person, tracklet.camera, tracklet.files, stamps])


def _stamp(path: str) -> tuple[int, int] | None:
    """Size and time of change; None for a file that cannot be looked at."""
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
