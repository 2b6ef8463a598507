"""Anyone's own people: a folder for each person, in it a folder for each camera."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from reseen.data.datasets.common import cameras_of_people, random_half_splits, split_by_people
from reseen.data.layout import entries, enumerate_names, is_picture, shortened
from reseen.data.tracklet import Benchmark, BenchmarkTracklet, Split
from reseen.errors import ReseenError
from reseen.files import read_json

LAYOUT = (
    "ROOT/<person>/<camera>/*.jpg or ROOT/<person>/<camera>/<tracklet>/*.jpg, "
    "with or without train/ and test/ above the persons"
)
HALVES = ("train", "test")
DEEPEST = 3
"""Folders below a half: persons, cameras, tracklets."""

CAMERA_FIRST = "camera/person"
LAYOUTS = ("person/camera", CAMERA_FIRST)
CAMERA_NAME = re.compile(
    r"(?:c|cam|camera|view|kamera)[ _-]?[0-9]{1,3}|cam[ _-]?[a-z]", re.IGNORECASE
)
"""Names that people give to cameras."""

SYNTHETIC_FILE = "synthetic.json"
"""Lies beside synthetic people, and says how they were made."""


class _Found(NamedTuple):
    """One tracklet as it lies in the folders.

    Attributes:
        name: its path below the root.
        folders: names of those of its person and its camera, and its own where it has one.
    """

    name: str
    folders: tuple[str, ...]
    files: tuple[str, ...]


@dataclass
class _LeftOut:
    """What lies in the folders and is part of no tracklet; grows while they are read.

    Attributes:
        files, folders: their paths below the root.
        seen: folders of tracklets, links resolved, so that none is read twice.
    """

    files: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    seen: set[Path] = field(default_factory=set)

    def notes(self) -> Iterator[str]:
        if self.files:
            yield f"files left out, no frames: {len(self.files)} ({shortened(self.files)})"
        if self.folders:
            yield f"folders left out, no frames: {len(self.folders)} ({shortened(self.folders)})"


def load(root: Path, layout: str = LAYOUTS[0]) -> Benchmark:
    """Read people from the layout in `LAYOUT`, jpg, jpeg, png, bmp or webp.

    Persons and cameras are numbered from 1 in the natural order of their folder names; a camera
    has one number for all people. With `train` and `test` folders, these are the one split;
    without, there are ten random half/half splits by person from seed 0.

    Args:
        root: the folder that holds the persons, or `train` and `test`.
        layout: "camera/person" where a folder for each camera holds the persons.

    Raises:
        ReseenError: a folder is missing or empty, there are too few people, or one person lies
            in `train` and in `test`.
    """
    left_out = _LeftOut()
    halves = _halves(root, left_out)
    found = [tracklet for half in halves for tracklet in _tracklets(root, half, left_out)]
    if not found:
        raise ReseenError(f"no picture of a person in {root}; the layout must be {LAYOUT}")
    if layout == CAMERA_FIRST:
        found = [one._replace(folders=(*one.folders[1::-1], *one.folders[2:])) for one in found]
    people, cameras, inside = (
        enumerate_names(name for one in found for name in one.folders[level : level + 1])
        for level in range(DEEPEST)
    )
    if len(people) == 1:
        raise ReseenError(
            f"{root} holds one person only, {min(people)}; if the persons lie in that folder, "
            f"name it instead; the layout must be {LAYOUT}"
        )
    tracklets = tuple(
        BenchmarkTracklet(name, people[folders[0]], cameras[folders[1]], root / name, files)
        for name, folders, files in found
    )
    splits = random_half_splits(tracklets) if halves == ("",) else _given_split(found, tracklets)
    names = list(people), list(cameras), list(inside)
    notes = [*_taken(found, *names, layout), *_synthetic_note(root, len(tracklets))]
    single = sum(len(seen) == 1 for seen in cameras_of_people(tracklets).values())
    seldom = f"people seen by one camera only, who cannot be searched for: {single}"
    notes += [*left_out.notes(), *([seldom] if single else [])]
    return Benchmark("folder", tracklets, splits, tuple(notes))


def _taken(
    found: list[_Found], people: list[str], cameras: list[str], inside: list[str], layout: str
) -> Iterator[str]:
    """Say what was taken for what, and what about it looks wrong."""
    yield (
        f"taken for {len(people)} persons: {shortened(people)}; for {len(cameras)} cameras: "
        f"{shortened(cameras)}; for the frames of one tracklet, in order: "
        f"{shortened(found[0].files)}"
    )
    if layout != CAMERA_FIRST and all(map(CAMERA_NAME.fullmatch, people)):
        yield (
            f"the persons {shortened(people)} look like cameras; if they are, read them "
            f"with --layout {CAMERA_FIRST}"
        )
    elif inside and all(map(CAMERA_NAME.fullmatch, inside)):
        yield (
            f"the tracklets {shortened(inside)} look like cameras; if they are, the tree is one "
            "level too deep: name a folder further down"
        )
    if len({one.folders[:2] for one in found}) == len(cameras):
        yield "no camera has seen two people; a camera must have one name for everybody"


def _synthetic_note(root: Path, found: int) -> Iterator[str]:
    """Say how synthetic people were made, and that none of them is missing."""
    if not (root / SYNTHETIC_FILE).is_file():
        return
    settings = read_json(root / SYNTHETIC_FILE)
    try:
        drawn = int(settings["people"]) * int(settings["cameras"])
        told = settings | settings["difficulty"]
    except (TypeError, KeyError, ValueError, OverflowError) as error:
        raise ReseenError(f"{root / SYNTHETIC_FILE} is damaged; draw the people again") from error
    if found != drawn:
        raise ReseenError(
            f"{root} holds {found} of its {drawn} synthetic tracklets; "
            "remove the folder and draw it again"
        )
    del told["difficulty"]
    yield "synthetic people: " + ", ".join(f"{name} {value}" for name, value in told.items())


def _halves(root: Path, left_out: _LeftOut) -> tuple[str, ...]:
    """`train` and `test` where they exist, else the root itself."""
    folders, _ = entries(root)
    present = [name for half in HALVES for name in folders if name.lower() == half]
    if not present:
        return ("",)
    if [name.lower() for name in present] != list(HALVES):
        raise ReseenError(
            f"{root} must have one of each, train/ and test/, but has {', '.join(present)}; "
            f"the layout must be {LAYOUT}"
        )
    left_out.folders.extend(name for name in folders if name not in present)
    return tuple(present)


def _tracklets(root: Path, name: str, left_out: _LeftOut, *above: str) -> Iterator[_Found]:
    """The tracklets in the folder `name` and below it.

    Args:
        above: the folder's person, camera and tracklet, as many of them as it lies deep.
    """
    folders, files = entries(root / name)
    frames = tuple(filter(is_picture, files)) if len(above) > 1 else ()
    for file in files:
        if (not frames or not is_picture(file)) and (above or file != SYNTHETIC_FILE):
            left_out.files.append(_joined(name, file))
    place = (root / name).resolve()
    if frames and place not in left_out.seen:
        left_out.seen.add(place)
        yield _Found(name, above, frames)
    elif above and (frames or not folders or len(above) == DEEPEST):
        left_out.folders.append(name)
    if len(above) < DEEPEST:
        for folder in folders:
            yield from _tracklets(root, _joined(name, folder), left_out, *above, folder)


def _given_split(found: list[_Found], tracklets: Sequence[BenchmarkTracklet]) -> tuple[Split]:
    in_half: dict[str, dict[str, int]] = {half: {} for half in HALVES}
    for one, tracklet in zip(found, tracklets, strict=True):
        in_half[one.name.partition("/")[0].lower()][one.folders[0]] = tracklet.person
    both = sorted(in_half["train"].keys() & in_half["test"])
    if both:
        raise ReseenError(f"people in train/ and in test/, who must be in one: {shortened(both)}")
    return (split_by_people(tracklets, set(in_half["train"].values())),)


def _joined(parent: str, name: str) -> str:
    return f"{parent}/{name}" if parent else name
