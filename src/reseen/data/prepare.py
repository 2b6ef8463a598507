"""Making a FrameStore from a benchmark's pictures: on all cores, to be stopped and continued."""

import io
import math
import os
from collections.abc import Iterator
from dataclasses import asdict
from itertools import accumulate, islice
from pathlib import Path
from typing import Any

import numpy as np

from reseen.data.coding import FRAME_SHAPE, Picture, known_flow, packed
from reseen.data.journal import JOURNAL_FILE, Journal, Outcome
from reseen.data.pictures import read_picture
from reseen.data.recipe import Recipe, check_unchanged, fingerprint, recipe_of
from reseen.data.store import FORMAT, FRAMES_FILE, INDEX_FILE, FrameStore, read_index
from reseen.data.tracklet import Benchmark, BenchmarkTracklet, Split
from reseen.errors import ReseenError
from reseen.files import cannot_write, write_json
from reseen.parallel import in_parallel
from reseen.progress import progress

PICTURES_AHEAD = 8
"""Decoded before the first of them is packed."""


def prepare(
    benchmark: Benchmark, path: Path, flow: str = "lucas-kanade", processes: int | None = None
) -> FrameStore:
    """Decode every picture of a benchmark, compute its flow and pack all into a FrameStore.

    Interrupted work is continued by calling again; a finished store is opened at once. Unreadable
    pictures are left out and named in the store's `left_out`; flow then runs between their
    neighbours. A tracklet without any readable picture disappears from the splits too.

    Args:
        benchmark: what to read.
        path: the store's folder; made when missing.
        flow: a key of `reseen.data.flow.FLOWS`.
        processes: how many work side by side; as many as there are cores when None.

    Raises:
        ReseenError: what lies at `path` is of another source or setting, nobody is left in a
            split, the disk is full, or a process was killed.
    """
    known_flow(flow)
    recipe = recipe_of(benchmark, flow)
    if (path / INDEX_FILE).exists():
        check_unchanged(path, read_index(path).get("recipe", {}), recipe)
    else:
        with Journal.opened(path, recipe) as journal:
            _pack_tracklets(benchmark.tracklets, path, flow, processes, journal)
        write_json(path / INDEX_FILE, _index(benchmark, recipe, journal.outcomes))
    (path / JOURNAL_FILE).unlink(missing_ok=True)
    return FrameStore.open(path)


def _pack_tracklets(
    tracklets: tuple[BenchmarkTracklet, ...],
    path: Path,
    flow: str,
    processes: int | None,
    journal: Journal,
) -> None:
    """Pack those tracklets that the journal does not know yet."""
    *starts, total = accumulate(map(len, tracklets), initial=0)
    frames = path / FRAMES_FILE
    if journal.outcomes:
        _check_reserved(frames, total)
    else:
        _reserve(frames, total)
    tasks = (
        (index, tracklet, frames, _offset(total, start), flow)
        for index, (tracklet, start) in enumerate(zip(tracklets, starts, strict=True))
        if index not in journal.outcomes
    )
    done = sum(len(tracklets[index]) for index in journal.outcomes)
    with progress("preparing", total, "frames", done) as advance:
        for outcome in in_parallel(_pack_tracklet, tasks, processes):
            journal.add(outcome)
            advance(len(tracklets[outcome.tracklet]))


def _reserve(path: Path, frames: int) -> None:
    """Take the whole file's space on the disk now, so that a full disk shows at once."""
    try:
        with path.open("wb") as file:
            file.write(_header(frames))
            file.flush()
            _reserve_bytes(file.fileno(), _offset(frames, frames))
    except OSError as error:
        path.unlink(missing_ok=True)
        raise cannot_write(path, error) from error


def _reserve_bytes(descriptor: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
    else:  # macOS: a full disk shows later, when frames are written
        os.truncate(descriptor, size)


def _check_reserved(path: Path, frames: int) -> None:
    if not path.is_file() or path.stat().st_size != _offset(frames, frames):
        raise ReseenError(f"{path} is damaged; remove {path.parent} and prepare again")


def _header(frames: int) -> bytes:
    """The head of a NumPy file of that many frames."""
    head = {"descr": "|u1", "fortran_order": False, "shape": (frames, *FRAME_SHAPE)}
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, head)
    return file.getvalue()


def _offset(frames: int, row: int) -> int:
    """Where a row begins in the file of that many frames, in bytes."""
    return len(_header(frames)) + row * math.prod(FRAME_SHAPE)


def _pack_tracklet(
    index: int, tracklet: BenchmarkTracklet, path: Path, offset: int, flow: str
) -> Outcome:
    """Pack one tracklet into the frames file, holding a few pictures at a time."""
    broken: list[str] = []
    length = 0
    try:
        with path.open("r+b") as file:
            file.seek(offset)
            for frame in packed(_a_few_ahead(_readable(tracklet, broken)), flow):
                file.write(frame.data)
                length += 1
    except OSError as error:
        raise cannot_write(path, error) from error
    except ReseenError as error:
        raise ReseenError(f"tracklet {tracklet.name}: {error}") from error
    return Outcome(index, length, tuple(broken))


def _readable(tracklet: BenchmarkTracklet, broken: list[str]) -> Iterator[Picture]:
    """The pictures of a tracklet; the names of those that cannot be read go into `broken`."""
    for path in tracklet.paths:
        try:
            picture = read_picture(path)
        except ReseenError:
            broken.append(path.name)
        else:
            yield picture


def _a_few_ahead(pictures: Iterator[Picture]) -> Iterator[Picture]:
    """Decode some pictures before any of them is packed.

    Each of the two then finds its code and tables in the processor's caches; taking turns for
    every picture makes both a tenth slower.
    """
    while few := list(islice(pictures, PICTURES_AHEAD)):
        yield from few


def _index(benchmark: Benchmark, recipe: Recipe, outcomes: dict[int, Outcome]) -> dict[str, Any]:
    """The content of `store.json`."""
    starts = list(accumulate(map(len, benchmark.tracklets), initial=0))
    kept = [index for index in range(len(benchmark.tracklets)) if outcomes[index].length]
    tracklets = [benchmark.tracklets[index] for index in kept]
    return {
        "format": FORMAT,
        "fingerprint": fingerprint(recipe),
        "notes": [*benchmark.notes, *_notes(benchmark, kept)],
        "left_out": _left_out(benchmark, outcomes),
        "names": [tracklet.name for tracklet in tracklets],
        "persons": [tracklet.person for tracklet in tracklets],
        "cameras": [tracklet.camera for tracklet in tracklets],
        "starts": [starts[index] for index in kept],
        "lengths": [outcomes[index].length for index in kept],
        "splits": [asdict(split) for split in _remaining(benchmark.splits, kept)],
        "recipe": recipe,
    }


def _notes(benchmark: Benchmark, kept: list[int]) -> list[str]:
    gone = len(benchmark.tracklets) - len(kept)
    if not gone:
        return []
    people = {tracklet.person for tracklet in benchmark.tracklets}
    seen = {benchmark.tracklets[index].person for index in kept}
    return [
        f"{gone} of {len(benchmark.tracklets)} tracklets and {len(people - seen)} of {len(people)} "
        "people are in no trial, because none of their pictures can be read"
    ]


def _left_out(benchmark: Benchmark, outcomes: dict[int, Outcome]) -> list[str]:
    return [
        f"{tracklet.name}: {len(broken)} of {len(tracklet)} pictures unreadable: {_some(broken)}"
        for index, tracklet in enumerate(benchmark.tracklets)
        if (broken := outcomes[index].broken)
    ]


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _remaining(splits: tuple[Split, ...], kept: list[int]) -> list[Split]:
    """The splits without the tracklets that are gone, pointing at the new places of the others.

    Raises:
        ReseenError: nothing is left of a part that held somebody.
    """
    places = {index: place for place, index in enumerate(kept)}
    return [
        Split(**{part: _moved(part, indices, places) for part, indices in asdict(split).items()})
        for split in splits
    ]


def _moved(part: str, indices: tuple[int, ...], places: dict[int, int]) -> tuple[int, ...]:
    moved = tuple(places[index] for index in indices if index in places)
    if indices and not moved:
        raise ReseenError(f"not one {part} tracklet has a readable picture; check the data set")
    return moved
