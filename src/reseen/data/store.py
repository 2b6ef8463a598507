"""FrameStore: every frame of a benchmark, memory-mapped in shards, and which tracklet it is of."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from tokenize import TokenError
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import DTypeLike, NDArray

from reseen.data.tracklet import Split, check_splits
from reseen.errors import ReseenError
from reseen.files import converted, digest_of, read_json, write_json

FORMAT = 2
"""Version of the files' layout and of the frames' coding. A store of another one is refused."""

INDEX_FILE = "store.json"
PLAN_FILE = "unfinished.json"

_ANEW = "remove the store and prepare it again"


def shard_file(number: int) -> str:
    """The name of a shard's frames, a NumPy file."""
    return f"frames-{number:04d}.npy"


@dataclass(frozen=True)
class Recipe:
    """What a store is made from, so that a change can be named.

    Attributes:
        flow: how the flow channels were computed.
        splits: a digest of the splits.
        sources: a digest for each tracklet by name: of its person, its camera, and its files'
            names, sizes and times.
        trunk: the model id of the network whose vectors are stored; empty for pictures.
    """

    dataset: str
    flow: str
    splits: str
    sources: dict[str, str]
    trunk: str = ""


Whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""A number that fits into 64 bits, as JSON's need not."""


@dataclass(frozen=True)
class Shard:
    """What the index knows of a file of frames: how many it holds, and the digest of it all."""

    frames: int
    digest: str


@dataclass(frozen=True)
class Index:
    """The content of `store.json`; columns are of the M tracklets, in the order of their frames.

    `trunk_file` is where the trunk's file lay, if it was named by that; it may have moved since.
    """

    format: int
    fingerprint: str
    notes: tuple[str, ...]
    left_out: tuple[str, ...]
    frame_shape: tuple[int, ...]
    dtype: str
    shards: tuple[Shard, ...]
    names: tuple[str, ...]
    persons: tuple[Whole, ...]
    cameras: tuple[Whole, ...]
    lengths: tuple[Whole, ...]
    splits: tuple[Split, ...]
    recipe: Recipe
    trunk_file: str = ""

    def write(self, path: Path) -> None:
        """Write the index, with its own digest, into the folder `path`; the store is then whole."""
        content = asdict(self)
        write_json(path / INDEX_FILE, {"digest": _text_digest(content), **content})

    @classmethod
    def read(cls, path: Path) -> "Index":
        """Read the index of the finished store in the folder `path`."""
        if not (path / INDEX_FILE).is_file():
            if (path / PLAN_FILE).exists():
                raise ReseenError(f"the store {path} is not finished; run prepare again")
            raise ReseenError(f"{path} is not a store; make one with: reseen prepare")
        content = read_json(path / INDEX_FILE)
        version = content.get("format") if isinstance(content, dict) else None
        if version != FORMAT:
            raise ReseenError(
                f"the store {path} has format {version}, this version of reseen reads {FORMAT}; "
                f"{_ANEW}"
            )
        if content.pop("digest", None) != _text_digest(content):
            raise ReseenError(f"{path / INDEX_FILE} is damaged; {_ANEW}")
        return converted(content, cls, path / INDEX_FILE, _ANEW)


class Frames:
    """The frames of all shards as one array, read from disk when they are asked for.

    Attributes:
        shape: (N, *frame shape).
        dtype: of a frame.
    """

    def __init__(
        self, shards: Sequence[NDArray[Any]], frame_shape: tuple[int, ...], dtype: DTypeLike
    ) -> None:
        self._shards = shards
        lengths = np.array([len(shard) for shard in shards], np.int64)
        self._ends = lengths.cumsum()
        self._starts = self._ends - lengths
        self.dtype = np.dtype(dtype)
        self.shape = (int(self._ends[-1]) if shards else 0, *frame_shape)

    @property
    def nbytes(self) -> int:
        """Bytes of all frames together."""
        return int(np.prod(self.shape)) * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Copy frames: (...) int64 rows -> (..., *frame shape)."""
        flat = np.asarray(rows, np.int64).ravel()
        if len(flat) and not 0 <= flat.min() <= flat.max() < len(self):
            raise IndexError(f"rows {flat.min()} to {flat.max()} of {len(self)} frames")
        copy = np.empty((len(flat), *self.shape[1:]), self.dtype)
        of_shard = self._ends.searchsorted(flat, side="right")
        inside = flat - self._starts[of_shard]
        borders = np.flatnonzero(of_shard[1:] != of_shard[:-1]) + 1
        for begin, end in pairwise([0, *borders.tolist(), len(flat)] if len(flat) else []):
            # Rows are known to be inside; without "clip" NumPy would copy everything twice.
            shard = self._shards[of_shard[begin]]
            shard.take(inside[begin:end], axis=0, out=copy[begin:end], mode="clip")
        return copy.reshape(*np.shape(rows), *self.shape[1:])

    def between(self, start: int, end: int) -> NDArray[Any]:
        """The frames from `start` to before `end`, all of one shard: a view, nothing is read."""
        number = int(np.searchsorted(self._ends, start, side="right"))
        first = int(self._starts[number])
        return self._shards[number][start - first : end - first]

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """All frames, copied into memory."""
        empty = np.empty((0, *self.shape[1:]), self.dtype)
        return np.concatenate([*self._shards, empty]).astype(dtype or self.dtype, copy=False)


class FrameStore:
    """The frames of a benchmark, packed for the network, as a folder on disk.

    The folder holds shards, `frames-0000.npy` and on (readable with `numpy.load`), and
    `store.json`, which is written last: without it, the store is not finished.

    Attributes:
        dataset: the data set's name, "prid2011".
        flow: how the flow channels were computed, a key of `reseen.data.coding.FLOWS`; "none"
            where vectors are stored.
        fingerprint: changes with the settings and with the pictures' names, sizes and times.
        notes: what the user must know about how the data set was read, a sentence each.
        left_out: the pictures and tracklets that could not be read, a line for each tracklet.
        frames: N of them, memory-mapped; of shape (5, 64, 48) and uint8 as
            `reseen.data.coding` packs them, or whatever else the store holds.
        frame_shape: (5, 64, 48) for the paper's network, (A, D) for vectors of a trunk.
        persons, cameras: (M,) int64.
        starts, lengths: (M,) int64; tracklet i has the rows `starts[i]` to
            `starts[i] + lengths[i] - 1`.
        splits: one for each trial, indices into the M tracklets.
        trunk: the model id of the network whose vectors are stored; empty for pictures.
        trunk_file: where its file lay, if it was named by that.
    """

    def __init__(self, path: Path) -> None:
        """Open a finished store; the frames stay on disk until they are used.

        The index is checked whole, of the shards the size, shape and type; `damaged_shards`
        checks their content.

        Raises:
            ReseenError: there is no store, it is not finished, it was written by another version,
                or its files are damaged.
        """
        index = Index.read(path)
        self.path, self.names, self.splits = path, index.names, index.splits
        self.dataset, self.flow = index.recipe.dataset, index.recipe.flow
        self.trunk, self.trunk_file = index.recipe.trunk, index.trunk_file
        self.fingerprint, self.notes = index.fingerprint, index.notes
        self.left_out, self.frame_shape = index.left_out, index.frame_shape
        shards = [
            _map_shard(path / shard_file(number), (shard.frames, *index.frame_shape), index.dtype)
            for number, shard in enumerate(index.shards)
        ]
        self.frames = Frames(shards, index.frame_shape, index.dtype)
        columns = [
            np.array(each, np.int64) for each in (index.persons, index.cameras, index.lengths)
        ]
        self.persons, self.cameras, self.lengths = columns
        if any(len(column) != len(self) for column in columns):
            raise ReseenError(f"the tracklet table in {path} has columns of unequal length")
        if (self.lengths <= 0).any() or self.lengths.sum() != len(self.frames):
            raise ReseenError(f"the tracklets in {path} are not as long as its frames")
        self.starts = self.lengths.cumsum() - self.lengths
        check_splits(list(self.names), self.persons.tolist(), self.splits)

    def __len__(self) -> int:
        return len(self.names)

    def split(self, trial: int) -> Split:
        """The split of a trial.

        A data set with one published split has the same in every trial; only seeds differ.
        """
        if trial < 0 or 1 < len(self.splits) <= trial:
            raise ReseenError(f"{self.path} has {len(self.splits)} trials, from 0; not {trial}")
        return self.splits[trial % len(self.splits)]

    def tracklet(self, index: int) -> NDArray[Any]:
        """The frames of one tracklet, (L, *frame_shape): a view, nothing is read yet."""
        start = int(self.starts[index])
        return self.frames.between(start, start + int(self.lengths[index]))


def damaged_shards(path: Path) -> Iterator[str]:
    """Read every shard of a store; a line for each that is not as it was written."""
    for number, shard in enumerate(Index.read(path).shards):
        file = path / shard_file(number)
        if not file.is_file() or digest_of(file) != shard.digest:
            yield f"{file} is missing or damaged; {_ANEW}"


def _map_shard(path: Path, shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
    try:
        # Unlike `numpy.load`, this knows neither archives nor pickles. As a plain array, what is
        # taken from it costs half of what it would as a memmap.
        frames = np.lib.format.open_memmap(path, mode="r").view(np.ndarray)
    except (OSError, ValueError, TypeError, OverflowError, SyntaxError, TokenError) as error:
        raise ReseenError(f"{path} is missing or damaged ({error}); {_ANEW}") from error
    if frames.shape != shape or frames.dtype != dtype:
        raise ReseenError(
            f"{path} holds {frames.dtype} of shape {frames.shape}, not {dtype} of shape {shape}; "
            f"{_ANEW}"
        )
    return frames


def _text_digest(value: Any) -> str:
    return hashlib.blake2b(msgspec.json.encode(value, order="sorted"), digest_size=16).hexdigest()
