"""Making a FrameStore from a benchmark's pictures: on all cores, to be stopped and continued.

Each shard is written aside and renamed, then a note of what became of its tracklets. Who goes on
skips the shards that have a note; whoever has them all writes the index.
"""

import hashlib
import json
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, astuple, dataclass
from functools import cache
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from reseen.data.coding import FRAME_SHAPE, known_flow, packed
from reseen.data.frame_vectors import augmented, open_network
from reseen.data.layout import shortened
from reseen.data.pictures import Picture, read_picture
from reseen.data.store import (
    FORMAT,
    INDEX_FILE,
    PLAN_FILE,
    FrameStore,
    Index,
    Recipe,
    Shard,
    shard_file,
)
from reseen.data.tracklet import Benchmark, BenchmarkTracklet, Split
from reseen.errors import ReseenError
from reseen.files import claim, digest_of, locked, read_as, write_json, written_aside
from reseen.parallel import Spread, unordered
from reseen.progress import progress

MOST_SHARDS = 128
"""Each keeps a file open, of which some systems allow 256."""

LEAST_PICTURES = 512
"""In a shard: what a kill costs at most, and enough that its file's overhead does not count."""

PICTURES_AHEAD = 8
"""Decoded before the first of them is packed."""

_ANEW = "remove it and prepare again"


@dataclass(frozen=True)
class Packed:
    """A shard's digest, and of each tracklet its frames and the files that could not be read."""

    digest: str
    lengths: tuple[int, ...]
    broken: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Coding:
    """What a picture becomes in a store: a packed frame with its flow, or vectors of a trunk.

    Attributes:
        flow: a key of `reseen.data.coding.FLOWS`; "none" with a trunk.
        trunk, style: what `open_network` takes; no trunk when empty.
        model_id: of the trunk.
        file: where it lies, if that is its name.
        shape, dtype: of what a picture becomes.
    """

    flow: str
    trunk: str = ""
    style: str | None = None
    model_id: str = ""
    file: str = ""
    shape: tuple[int, ...] = FRAME_SHAPE
    dtype: str = "uint8"

    @classmethod
    def by_trunk(cls, trunk: str, style: str | None) -> "Coding":
        """Store vectors of a network, which is tried before any work begins."""
        network = open_network(trunk, style)
        shape = (network.augmentations, network.dimensions)
        file = str(network.path.absolute()) if network.path == Path(trunk) else ""
        return cls("none", trunk, style, network.model_id, file, shape, "float16")

    def frames(self, pictures: Iterator[Picture]) -> Iterator[NDArray[Any]]:
        """What each picture becomes, one by one."""
        if self.trunk:
            return augmented(_opened(self.trunk, self.style), pictures, self.shape[0])
        # Decoding some before any of them is packed, each of the two finds its code and tables in
        # the processor's caches; taking turns for every picture makes both a tenth slower.
        few = iter(lambda: list(islice(pictures, PICTURES_AHEAD)), [])
        return packed(chain.from_iterable(few), self.flow)


_opened = cache(open_network)
"""The trunk, once for each process."""


def prepare(
    benchmark: Benchmark,
    path: str | Path,
    flow: str = "lucas-kanade",
    processes: int | None = None,
    *,
    trunk: str = "",
    style: str | None = None,
    spread: Spread | None = None,
) -> FrameStore:
    """Decode every picture of a benchmark, compute its flow and pack all into a FrameStore.

    Interrupted work is continued by calling again; a finished store is opened at once. Unreadable
    pictures are left out and named in the store's `left_out`; flow then runs between their
    neighbours. A tracklet without any readable picture disappears from the splits too.

    Args:
        path: the store's folder; made when missing.
        flow: a key of `reseen.data.coding.FLOWS`.
        processes: how many work side by side; as many as there are cores when None.
        trunk: store what this network makes of each picture, its halves and their mirrors
            instead: a frozen trunk, run once for each, on which a head trains in minutes. A name
            that `open_network` takes.
        style: how the trunk wants its crops, where that cannot be told.
        spread: what calls a function for every shard, wherever; processes of this machine when
            None.

    Raises:
        ReseenError: the trunk cannot be used, what lies at `path` is of another source or setting,
            nobody is left in a split, the disk is full, or a process was killed.
    """
    known_flow(flow)
    path = Path(path).absolute()
    spread = spread or (lambda work, tasks: unordered(work, tasks, processes))
    coding = Coding.by_trunk(trunk, style) if trunk else Coding(flow)
    recipe = _recipe(benchmark, coding)
    with locked(path):
        if (path / INDEX_FILE).exists():
            _check_unchanged(path, Index.read(path).recipe, recipe)
        else:
            if claim(path, PLAN_FILE):
                _check_unchanged(path, read_as(path / PLAN_FILE, Recipe, _ANEW), recipe)
            else:
                write_json(path / PLAN_FILE, asdict(recipe))
            notes = _packed(_shards(benchmark.tracklets), path, coding, spread)
            _index(benchmark, recipe, coding, notes).write(path)
        for file in (*path.glob("frames-*.json"), path / PLAN_FILE):
            file.unlink(missing_ok=True)
    return FrameStore(path)


def _shards(tracklets: Sequence[BenchmarkTracklet]) -> list[list[BenchmarkTracklet]]:
    """The tracklets of each shard: whole ones, in order."""
    least = max(LEAST_PICTURES, math.ceil(sum(map(len, tracklets)) / MOST_SHARDS))
    shards: list[list[BenchmarkTracklet]] = []
    pictures = least
    for tracklet in tracklets:
        if pictures >= least:
            shards.append([])
            pictures = 0
        shards[-1].append(tracklet)
        pictures += len(tracklet)
    return shards


def _packed(
    shards: list[list[BenchmarkTracklet]], path: Path, coding: Coding, spread: Spread
) -> list[Packed]:
    """Pack those shards that have no note yet; returns the notes of all."""
    for left_by_a_kill in path.glob(".frames-*"):
        left_by_a_kill.unlink()
    files = [_note_file(path, number) for number in range(len(shards))]
    missing = [number for number, file in enumerate(files) if not file.exists()]
    pictures = [sum(map(len, shard)) for shard in shards]
    done = sum(pictures) - sum(pictures[number] for number in missing)
    tasks = ((number, shards[number], path, coding) for number in missing)
    with progress("preparing", sum(pictures), "frames", done) as advance:
        for number in spread(_pack_shard, tasks):
            advance(pictures[number])
    return [read_as(file, Packed, _ANEW) for file in files]


def _note_file(path: Path, number: int) -> Path:
    return (path / shard_file(number)).with_suffix(".json")


def _pack_shard(number: int, tracklets: list[BenchmarkTracklet], path: Path, coding: Coding) -> int:
    """Write a shard and its note, holding a few pictures at a time; returns its number."""
    lengths: list[int] = []
    broken: list[list[str]] = []
    with written_aside(path / shard_file(number)) as temporary:
        with temporary.open("wb") as file:
            _write_header(file, 0, coding)
            for tracklet in tracklets:
                lengths.append(0)
                broken.append([])
                try:
                    for frame in coding.frames(_readable(tracklet, broken[-1])):
                        file.write(frame.data)
                        lengths[-1] += 1
                except ReseenError as error:
                    raise ReseenError(f"tracklet {tracklet.name}: {error}") from error
            file.seek(0)
            _write_header(file, sum(lengths), coding)
        digest = digest_of(temporary)
    note = Packed(digest, tuple(lengths), tuple(map(tuple, broken)))
    write_json(_note_file(path, number), asdict(note))
    return number


def _write_header(file: BinaryIO, frames: int, coding: Coding) -> None:
    """The head of a NumPy file, which leaves room for any number of frames."""
    kind = np.lib.format.dtype_to_descr(np.dtype(coding.dtype))
    head = {"descr": kind, "fortran_order": False, "shape": (frames, *coding.shape)}
    np.lib.format.write_array_header_1_0(file, head)


def _readable(tracklet: BenchmarkTracklet, broken: list[str]) -> Iterator[Picture]:
    """A tracklet's pictures; the names of those that cannot be read go into `broken`."""
    for path in tracklet.paths:
        try:
            picture = read_picture(path)
        except ReseenError:
            broken.append(path.name)
        else:
            yield picture


def _index(benchmark: Benchmark, recipe: Recipe, coding: Coding, notes: list[Packed]) -> Index:
    every = benchmark.tracklets
    packed = [one for note in notes for one in zip(note.lengths, note.broken, strict=True)]
    if len(packed) != len(every):
        raise ReseenError("the notes of the shards do not fit the data set; prepare it anew")
    kept = [index for index, (length, _) in enumerate(packed) if length]
    tracklets = [every[index] for index in kept]
    left_out = tuple(
        f"{one.name}: {len(names)} of {len(one)} pictures unreadable: {shortened(names)}"
        for one, (_, names) in zip(every, packed, strict=True)
        if names
    )
    return Index(
        FORMAT,
        _digest(asdict(recipe)),
        (*benchmark.notes, *_lost(every, tracklets)),
        left_out,
        coding.shape,
        coding.dtype,
        tuple(Shard(sum(note.lengths), note.digest) for note in notes),
        tuple(one.name for one in tracklets),
        tuple(one.person for one in tracklets),
        tuple(one.camera for one in tracklets),
        tuple(packed[index][0] for index in kept),
        _remaining(benchmark.splits, kept),
        recipe,
        coding.file,
    )


def _lost(every: Sequence[BenchmarkTracklet], kept: Sequence[BenchmarkTracklet]) -> Iterator[str]:
    people, left = ({one.person for one in some} for some in (every, kept))
    if gone := len(every) - len(kept):
        yield (
            f"{gone} of {len(every)} tracklets and {len(people - left)} of {len(people)} people "
            "are in no trial, because none of their pictures can be read"
        )


def _remaining(splits: tuple[Split, ...], kept: list[int]) -> tuple[Split, ...]:
    """The splits without the tracklets that are gone, pointing at the new places of the others."""
    places = {index: place for place, index in enumerate(kept)}

    def moved(part: str, indices: tuple[int, ...]) -> tuple[int, ...]:
        left = tuple(places[index] for index in indices if index in places)
        if indices and not left:
            raise ReseenError(f"not one {part} tracklet has a readable picture; check the data set")
        return left

    return tuple(
        Split(**{part: moved(part, indices) for part, indices in asdict(split).items()})
        for split in splits
    )


def _recipe(benchmark: Benchmark, coding: Coding) -> Recipe:
    return Recipe(
        dataset=benchmark.dataset,
        flow=coding.flow,
        trunk=coding.model_id,
        splits=_digest([astuple(split) for split in benchmark.splits]),
        sources={tracklet.name: _source(tracklet) for tracklet in benchmark.tracklets},
    )


def _check_unchanged(path: Path, written: Recipe, wanted: Recipe) -> None:
    """Refuse to go on with what was made from another recipe, and name what has changed."""
    changes = []
    for field, what in (("dataset", "dataset"), ("trunk", "the trunk"), ("flow", "flow")):
        before, now = (getattr(recipe, field) or "(none)" for recipe in (written, wanted))
        if before != now:
            changes.append(f"with {what} {before}, not {now}")
    for name in wanted.sources | written.sources:
        if name not in written.sources:
            changes.append(f"without tracklet {name}, which has come since")
        elif name not in wanted.sources:
            changes.append(f"with tracklet {name}, which has gone since")
        elif written.sources[name] != wanted.sources[name]:
            changes.append(f"from other pictures of tracklet {name}, which have changed since")
    if written.splits != wanted.splits:
        changes.append("with other splits into training and test people")
    if changes:
        raise ReseenError(f"{path} was prepared {changes[0]}; remove it or choose another --out")


def _source(tracklet: BenchmarkTracklet) -> str:
    """A digest of what a tracklet is: its files' sizes and times of change too."""
    folder, stamps = str(tracklet.folder), list[tuple[int, int] | None]()
    for file in tracklet.files:
        try:
            # Paths as text: a `Path` for each of a million files is slow.
            status = os.stat(f"{folder}{os.sep}{file}")  # noqa: PTH116
            stamps.append((status.st_size, status.st_mtime_ns))
        except OSError:  # a file that cannot be looked at
            stamps.append(None)
    return _digest([tracklet.person, tracklet.camera, tracklet.files, stamps])


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
