"""Tracklets on their way into a gallery: who was seen where, when, and in which pictures."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from reseen.data.datasets.layout import entries, is_picture
from reseen.data.pictures import read_picture
from reseen.errors import ReseenError
from reseen.search.crops import TRACKLETS_FILE
from reseen.search.track import TrackedTracklet, load_tracks

Picture = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Sighting:
    """A tracklet that a gallery may take in.

    Attributes:
        id: unique in the gallery.
        camera: the view's name.
        start, end: when the person was seen, in seconds: since 1970 where the recording's
            start is known, else since its beginning. None where nothing is known.
        source: the video or folder that it comes from.
        paths: the pictures of the person in time order; never empty.

    Raises:
        ReseenError: there is no picture, no id or no camera, or the end lies before the start.
    """

    id: str
    camera: str
    start: float | None
    end: float | None
    source: str
    paths: tuple[Path, ...]

    def __post_init__(self) -> None:
        if not self.id or not self.camera:
            raise ReseenError(f"a tracklet of {self.source} has no id or no camera")
        if not self.paths:
            raise ReseenError(f"tracklet {self.id} of {self.source} has no picture")
        if self.start is not None and self.end is not None and self.end < self.start:
            raise ReseenError(f"tracklet {self.id} of {self.source} ends before it starts")

    @property
    def pictures(self) -> "Pictures":
        """The pictures, read from disk when asked for."""
        return Pictures(self.paths)


@dataclass(frozen=True)
class Pictures(Sequence[Picture]):
    """Pictures that lie on disk until asked for, so that a long tracklet costs no memory."""

    paths: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, index: int) -> Picture: ...

    @overload
    def __getitem__(self, index: slice) -> "Pictures": ...

    def __getitem__(self, index: int | slice) -> "Picture | Pictures":
        if isinstance(index, slice):
            return Pictures(self.paths[index])
        return read_picture(self.paths[index])


def evenly(pictures: Sequence[Picture], most: int) -> list[Picture]:
    """At most so many pictures, evenly spaced from the first to the last."""
    wanted = min(most, len(pictures))
    places = np.linspace(0, len(pictures) - 1, wanted).round().astype(int)
    return [pictures[place] for place in places]


def sightings_in(root: Path, camera: str | None = None) -> list[Sighting]:
    """The tracklets in a folder.

    In a folder of pictures, or of folders of pictures, each folder that holds pictures is one
    tracklet of unknown time; its path, beginning with the name of `root`, is its id.

    Args:
        root: what `track` wrote, a folder of one person's pictures, or
            `ROOT/<person>/<camera>[/<tracklet>]`.
        camera: the view's name; None takes what `track` was told, or the second folder's name.

    Raises:
        ReseenError: there is no picture, or the camera cannot be told from the folders.
    """
    root = root.resolve()
    if (root / TRACKLETS_FILE).exists():
        return [_tracked(tracklet, camera) for tracklet in load_tracks(root)]
    found = [_sighting(root, folder, files, camera) for folder, files in _picture_folders(root)]
    if not found:
        raise ReseenError(f"no picture in {root} or the folders below it")
    return found


def _tracked(tracklet: TrackedTracklet, camera: str | None) -> Sighting:
    return Sighting(
        id=tracklet.id,
        camera=camera or tracklet.camera,
        start=tracklet.start,
        end=tracklet.end,
        source=tracklet.source,
        paths=tuple(tracklet.folder / file for file in tracklet.files),
    )


def _sighting(root: Path, folder: Path, files: list[str], camera: str | None) -> Sighting:
    below = folder.relative_to(root).parts
    if camera is None and len(below) < 2:
        raise ReseenError(
            f"cannot tell the camera of {folder} from its place; "
            "name the camera, or lay the folders out as ROOT/<person>/<camera>"
        )
    paths = tuple(folder / file for file in files)
    return Sighting(
        "/".join((root.name, *below)), camera or below[1], None, None, str(folder), paths
    )


def _picture_folders(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    folders, files = entries(folder)
    pictures = [file for file in files if is_picture(file)]
    if pictures:
        yield folder, pictures
    for name in folders:
        yield from _picture_folders(folder / name)
