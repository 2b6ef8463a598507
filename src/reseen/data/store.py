"""FrameStore: every frame of a benchmark in one memory-mapped file, and which tracklet it is of."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reseen.data.coding import FRAME_SHAPE
from reseen.data.tracklet import Split, check_splits
from reseen.errors import ReseenError
from reseen.files import read_json

FORMAT = 1
"""Version of the files' layout and of the frames' coding. A store of another one is refused."""

FRAMES_FILE = "frames.npy"
INDEX_FILE = "store.json"

_COLUMNS = ("persons", "cameras", "starts", "lengths")
_ANEW = "remove the store and prepare it again"


@dataclass(frozen=True, eq=False)
class FrameStore:
    """The frames of a benchmark, packed for the network, as a folder on disk.

    The folder holds `frames.npy` (readable with `numpy.load`) and `store.json`, which is written
    last: without it, the store is not finished.

    Attributes:
        path: the folder.
        dataset: the data set's name, "prid2011".
        flow: how the flow channels were computed, a key of `reseen.data.flow.FLOWS`.
        fingerprint: changes with the settings and with the pictures' names, sizes and times.
        notes: what the user must know about how the data set was read, a sentence each.
        left_out: the pictures and tracklets that could not be read, a line for each tracklet.
        frames: (N, 5, 64, 48) uint8, memory-mapped; channels as in `reseen.data.coding.CHANNELS`.
            Rows outside every tracklet stand for unreadable pictures and mean nothing.
        names: of the M tracklets.
        persons, cameras: (M,) int64.
        starts, lengths: (M,) int64; tracklet i is `frames[starts[i] : starts[i] + lengths[i]]`.
        splits: one for each trial, indices into the M tracklets.

    Raises:
        ReseenError: the arrays do not fit together, or a split is not sound.
    """

    path: Path
    dataset: str
    flow: str
    fingerprint: str
    notes: tuple[str, ...]
    left_out: tuple[str, ...]
    frames: NDArray[np.uint8]
    names: tuple[str, ...]
    persons: NDArray[np.int64]
    cameras: NDArray[np.int64]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    splits: tuple[Split, ...]

    def __post_init__(self) -> None:
        if self.frames.dtype != np.uint8 or self.frames.shape[1:] != FRAME_SHAPE:
            raise ReseenError(f"the frames in {self.path} are not {FRAME_SHAPE} bytes each")
        columns = (self.persons, self.cameras, self.starts, self.lengths)
        if any(column.shape != (len(self.names),) for column in columns):
            raise ReseenError(f"the tracklet table in {self.path} has columns of unequal length")
        inside = (self.starts >= 0) & (self.starts + self.lengths <= len(self.frames))
        if not (inside & (self.lengths > 0)).all():
            raise ReseenError(f"a tracklet in {self.path} lies outside its frames")
        check_splits(list(self.names), self.persons.tolist(), self.splits)

    def __len__(self) -> int:
        return len(self.names)

    def split(self, trial: int) -> Split:
        """The split of a trial.

        A data set with one published split has the same in every trial; only seeds differ.

        Raises:
            ReseenError: there is no such trial.
        """
        if trial < 0 or 1 < len(self.splits) <= trial:
            raise ReseenError(f"{self.path} has {len(self.splits)} trials, from 0; not {trial}")
        return self.splits[trial % len(self.splits)]

    def tracklet(self, index: int) -> NDArray[np.uint8]:
        """The frames of one tracklet, (L, 5, 64, 48) uint8: a view, nothing is read yet."""
        start = self.starts[index]
        return self.frames[start : start + self.lengths[index]]

    @classmethod
    def open(cls, path: Path) -> "FrameStore":
        """Open a finished store; the frames stay on disk until they are used.

        Raises:
            ReseenError: there is no store, it is not finished, it was written by another version,
                or its files are damaged.
        """
        index = read_index(path)
        try:
            table = {name: np.array(index[name], np.int64) for name in _COLUMNS}
            splits = tuple(
                Split(**{part: tuple(indices) for part, indices in split.items()})
                for split in index["splits"]
            )
            return cls(
                path=path,
                dataset=index["recipe"]["dataset"],
                flow=index["recipe"]["flow"],
                fingerprint=index["fingerprint"],
                notes=tuple(index["notes"]),
                left_out=tuple(index["left_out"]),
                frames=_map_frames(path / FRAMES_FILE),
                names=tuple(index["names"]),
                splits=splits,
                **table,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ReseenError(f"{path / INDEX_FILE} is damaged ({error!r}); {_ANEW}") from error


def read_index(path: Path) -> dict[str, Any]:
    """Read `store.json` and check its version.

    Raises:
        ReseenError: as `FrameStore.open`.
    """
    if not (path / INDEX_FILE).is_file():
        if (path / FRAMES_FILE).exists():
            raise ReseenError(f"the store {path} is not finished; run prepare again to continue")
        raise ReseenError(f"{path} is not a store; make one with: reseen prepare")
    index = read_json(path / INDEX_FILE)
    version = index.get("format") if isinstance(index, dict) else None
    if version != FORMAT:
        raise ReseenError(
            f"the store {path} has format {version}, this version of reseen reads {FORMAT}; {_ANEW}"
        )
    return dict(index)


def _map_frames(path: Path) -> NDArray[np.uint8]:
    try:
        # Unlike `numpy.load`, this knows neither archives nor pickles.
        return np.lib.format.open_memmap(path, mode="r")
    except (OSError, ValueError) as error:
        raise ReseenError(f"{path} is missing or damaged ({error}); {_ANEW}") from error
