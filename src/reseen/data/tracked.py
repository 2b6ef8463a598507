"""Tracklets on disk: what `track` wrote into a folder, and folders of pictures."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from reseen.data.layout import entries, is_picture
from reseen.data.tracklet import Tracklet
from reseen.errors import ReseenError
from reseen.files import read_as

Kind = TypeVar("Kind")

TRACKLETS_FILE = "tracklets.json"
"""What `track` writes at the very end of a folder of tracklets."""

BOXES_FILE = "tracks.txt"
"""The boxes as MOT text; a live camera has one such file for each recording."""

UNFINISHED = ".reseen-unfinished"
"""Lies in the folder for as long as `track` writes into it."""

LEAST_WHOLE, LEAST_WHOLE_SHARE = 4, 1 / 3
"""Crops, and share of them, that must show a whole body before those cut by the picture's edge are
left out: who always stands at the edge, or has loose boxes that touch it, keeps all."""


def tracklets_in(root: Path, camera: str | None = None) -> list[Tracklet]:
    """The tracklets in a folder.

    In a folder of pictures, or of folders of pictures, each folder that holds pictures is one
    tracklet of unknown time; its path, beginning with the name of `root`, is its id.

    Args:
        root: what `track` wrote, a folder of one person's pictures, or
            `ROOT/<person>/<camera>[/<tracklet>]`.
        camera: its name; None takes what `track` was told, or the second folder's name.
    """
    root = root.resolve()
    if (root / TRACKLETS_FILE).exists() or (root / UNFINISHED).exists():
        return load_tracks(root, camera)
    found = []
    for folder, files in _picture_folders(root, set()):
        below = folder.relative_to(root).parts
        if camera is None and len(below) < 2:
            raise ReseenError(
                f"cannot tell the camera of {folder} from its place; "
                "name the camera, or lay the folders out as ROOT/<person>/<camera>"
            )
        name, paths = "/".join((root.name, *below)), tuple(folder / file for file in files)
        found.append(Tracklet(name, camera or below[1], None, None, str(folder), paths))
    if not found:
        raise ReseenError(f"no picture in {root} or the folders below it")
    return found


def load_tracks(out: Path, camera: str | None = None) -> list[Tracklet]:
    """The tracklets that `track` wrote into a folder, in the order in which they were found.

    `camera` is another name for the camera; None keeps what `track` was told.

    Raises:
        ReseenError: the folder was not finished, or crops are missing from it.
    """
    if (out / UNFINISHED).exists() and not (out / TRACKLETS_FILE).exists():
        raise ReseenError(
            f"{out} holds no finished tracklets: tracking is under way there, or was stopped and "
            "goes on when the same reseen track is called again"
        )
    if not (out / TRACKLETS_FILE).is_file():
        raise ReseenError(f"{out} holds no finished tracklets; run reseen track first")
    found = Listed.read(out)
    begun = found.start.timestamp() if found.start else 0.0
    return [_loaded(out, entry, begun, camera) for entry in found.tracklets]


def boxes_of(out: Path, tracklet_id: str) -> Path:
    """The file in which `track` wrote a tracklet's boxes."""
    recording = tracklet_id.rpartition("-")[0].rpartition("-")[2]
    own = out / f"tracks-{recording}.txt"
    return own if own.exists() else out / BOXES_FILE


class Entry(msgspec.Struct, kw_only=True):
    """A tracklet in `TRACKLETS_FILE`; frames are counted from 1."""

    id: Annotated[str, msgspec.Meta(pattern=r"\A(?!\.\.?\Z)[^/\x00]+\Z")]
    source: str
    camera: str
    start_seconds: float
    end_seconds: float
    first_frame: int = 1
    last_frame: int = 1
    crops: int
    cut: tuple[int, ...] = ()
    film: str | msgspec.UnsetType = msgspec.UNSET


class Listed(msgspec.Struct, kw_only=True):
    """The content of `TRACKLETS_FILE`; times count from the start, that of the first recording."""

    source: str = ""
    camera: str = ""
    start: datetime | None
    counts: dict[str, Any] = {}
    tracklets: list[Entry]

    @classmethod
    def read(cls, out: Path) -> "Listed":
        """Read the list in a folder of tracklets."""
        return read_as(out / TRACKLETS_FILE, cls, "track the video again")


def _loaded(out: Path, entry: Entry, begun: float, camera: str | None) -> Tracklet:
    folder = out / entry.id
    files = [name for name in entries(folder)[1] if is_picture(name)]
    if len(files) < entry.crops:
        raise ReseenError(f"{folder} holds {len(files)} of {entry.crops} crops")
    cut = {f"{frame:06d}" for frame in entry.cut}
    return Tracklet(
        id=entry.id,
        camera=camera or entry.camera,
        start=begun + entry.start_seconds,
        end=begun + entry.end_seconds,
        source=entry.source,
        paths=tuple(folder / file for file in bodies(files, lambda name: Path(name).stem in cut)),
        film=Path(entry.film) if entry.film else None,
    )


def bodies(crops: Sequence[Kind], is_cut: Callable[[Kind], bool]) -> list[Kind]:
    """The crops that show a whole body; all of them where these are too few."""
    whole = [crop for crop in crops if not is_cut(crop)]
    enough = len(whole) >= max(LEAST_WHOLE, LEAST_WHOLE_SHARE * len(crops))
    return whole if enough else list(crops)


def _picture_folders(folder: Path, seen: set[Path]) -> Iterator[tuple[Path, list[str]]]:
    """Every folder of pictures at or below `folder`; where links lead to a second time, once."""
    seen.add(folder.resolve())
    folders, files = entries(folder)
    pictures = [file for file in files if is_picture(file)]
    if pictures:
        yield folder, pictures
    for name in folders:
        if (folder / name).resolve() not in seen:
            yield from _picture_folders(folder / name, seen)
