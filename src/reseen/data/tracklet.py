"""What a data set is made of: tracklets, and the splits that say who trains and who is searched."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from reseen.data.pictures import Pictures
from reseen.errors import ReseenError
from reseen.files import require_unicode

JUNK = -1
"""Person number of a tracklet that scoring ignores (MARS only)."""

DISTRACTOR = 0
"""Person number of a tracklet that is nobody's match (MARS only)."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Where somebody was in a whole picture of a recording.

    Attributes:
        seconds: since the recording's beginning; since 1970 where a live camera was watched.
        box: left, top, right and bottom edge, as shares of the picture's width and height.
        picture: the whole picture, small, as a JPEG; empty where it is not to be kept.
    """

    seconds: float
    box: tuple[float, ...]
    picture: bytes = b""


@dataclass(frozen=True, slots=True)
class Tracklet:
    """The crops of somebody in one camera, in time order: what `track` writes and a gallery takes.

    Attributes:
        id: unique in its gallery.
        camera: the camera's name.
        start, end: when the person was seen, in seconds: since 1970 where the recording's
            start is known, else since its beginning. None where nothing is known.
        source: the video or folder that it comes from.
        paths: the crops' files; empty where they were never written.
        contents: what the files would hold, where they were never written.
        moments: where the person was, from the first crop on; empty where nothing is known.
        film: the preview that shows the person; None where none was filmed.
    """

    id: str
    camera: str
    start: float | None
    end: float | None
    source: str
    paths: tuple[Path, ...]
    contents: tuple[bytes, ...] = ()
    moments: tuple[Moment, ...] = ()
    film: Path | None = None

    def __post_init__(self) -> None:
        if not self.id or not self.camera:
            raise ReseenError(f"a tracklet of {self.source} has no id or no camera")
        if not self.paths and not self.contents:
            raise ReseenError(f"tracklet {self.id} of {self.source} has no picture")
        if self.start is not None and self.end is not None and self.end < self.start:
            raise ReseenError(f"tracklet {self.id} of {self.source} ends before it starts")

    @property
    def pictures(self) -> Pictures:
        """The crops, read or unpacked when asked for."""
        return Pictures(
            self.paths or tuple((each, f"a crop of {self.id}") for each in self.contents)
        )


@dataclass(frozen=True, slots=True)
class BenchmarkTracklet:
    """A tracklet of a data set, whose person is known.

    Attributes:
        name: unique in its benchmark, as a person would look it up: "0001/cam_a".
        person: identity, 1 and up; `JUNK` and `DISTRACTOR` exist in MARS only.
        camera: its number, 1 and up.
        folder: where the pictures lie.
        files: file names inside `folder`, in time order; never empty.
    """

    name: str
    person: int
    camera: int
    folder: Path
    files: tuple[str, ...]

    def __post_init__(self) -> None:
        require_unicode(self.name)
        if not self.files:
            raise ReseenError(f"tracklet {self.name} in {self.folder} has no frame")

    def __len__(self) -> int:
        return len(self.files)

    @property
    def paths(self) -> Iterator[Path]:
        """The pictures, in time order."""
        return (self.folder / file for file in self.files)


@dataclass(frozen=True, slots=True)
class Split:
    """Who trains, who is searched for and what is searched, in one trial.

    Attributes:
        train, query, gallery: indices into the benchmark's tracklets. Query and gallery may
            share tracklets: the camera rule of scoring keeps a query from finding itself.
    """

    train: tuple[int, ...]
    query: tuple[int, ...]
    gallery: tuple[int, ...]


@dataclass(frozen=True)
class Benchmark:
    """All tracklets of a data set, and one split for each trial.

    Attributes:
        dataset: the data set's name, "prid2011".
        tracklets: every tracklet that any split needs.
        splits: one for each trial.
        notes: what the user must know about how this was read, a sentence each.
    """

    dataset: str
    tracklets: tuple[BenchmarkTracklet, ...]
    splits: tuple[Split, ...]
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        check_splits(
            [tracklet.name for tracklet in self.tracklets],
            [tracklet.person for tracklet in self.tracklets],
            self.splits,
        )


def check_splits(names: list[str], persons: list[int], splits: tuple[Split, ...]) -> None:
    """Check that names are unique and that no person is both trained on and scored."""
    for name, count in Counter(names).items():
        if count > 1:
            raise ReseenError(f"{count} tracklets are called {name}; names must be unique")
    for trial, split in enumerate(splits):
        for index in (*split.train, *split.query, *split.gallery):
            if not 0 <= index < len(names):
                raise ReseenError(f"trial {trial} points at tracklet {index} of {len(names)}")
        trained = {persons[index] for index in split.train}
        scored = {persons[index] for index in (*split.query, *split.gallery)}
        both = sorted((trained & scored) - {JUNK, DISTRACTOR})
        if both:
            raise ReseenError(f"trial {trial} trains on person {both[0]} and scores them too")
