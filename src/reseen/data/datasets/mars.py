"""MARS: six cameras, 1,261 people, with junk and distractors in the gallery."""

import gzip
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from reseen.data.datasets.common import (
    Counts,
    Published,
    cameras_of_people,
    first_tracklets,
    people_in,
    short,
)
from reseen.data.layout import entries, folder_with, read_table, shortened
from reseen.data.tracklet import DISTRACTOR, JUNK, Benchmark, BenchmarkTracklet, Split
from reseen.errors import ReseenError
from reseen.files import read_file, read_text

LAYOUT = (
    "ROOT/bbox_train/0001/0001C1T0001F001.jpg, ROOT/bbox_test and ROOT/info, which holds "
    "tracks_train_info.mat, tracks_test_info.mat, query_IDX.mat, train_name.txt, test_name.txt"
)
PARTS = ("train", "test")
FILE_NAME = re.compile(
    r"(?P<tracklet>(?P<person>\d{4}|00-1)C(?P<camera>\d)T\d{4})F(?P<frame>\d{3,})\.jpg"
)
"""Person (0000 is a distractor, 00-1 is junk), camera, tracklet, frame."""

PUBLISHED = Published.of(
    {"Zheng et al.": (65, 82, None, 89)},
    (59, 77, None, 87),
    (66, 88, 90, 92),
    (64, 87, 91, 91),
    (69, 88, 90, 93),
    (71, 89, 93, 96),
)


def load(root: Path) -> Benchmark:
    """Read MARS by its tables, or by its file names where the folder `info` is missing.

    There is one split. Its gallery is every test tracklet: queries, junk and distractors too;
    the protocols of scoring choose from it. The pictures themselves are not looked at. `root` holds
    `bbox_train` and `bbox_test`, or is its parent.
    """
    home = folder_with(root, ("bbox_train", "bbox_test"), ("mars", "MARS"), LAYOUT)
    notes = []
    if (home / "info").is_dir():
        train, test, query = tracklets_and_queries(home)
    else:
        strangers: list[str] = []
        train, test = (_tracklets_by_names(home / f"bbox_{part}", strangers) for part in PARTS)
        query = first_tracklets((*train, *test), range(len(train), len(train) + len(test)))
        notes.append(
            f"{home} has no folder info: the tracklets come from the file names, and the first one "
            f"of each person in each camera is a query ({len(query)}); published numbers need the "
            "tables"
        )
        if strangers:
            notes.append(f"files left out, no frames: {len(strangers)} ({shortened(strangers)})")
    gallery = tuple(range(len(train), len(train) + len(test)))
    split = Split(tuple(range(len(train))), query, gallery)
    return Benchmark("mars", (*train, *test), (split,), tuple(notes))


def tracklets_and_queries(
    home: Path,
) -> tuple[list[BenchmarkTracklet], list[BenchmarkTracklet], tuple[int, ...]]:
    """The tables in `home/info`: training and test tracklets, the queries' places in both."""
    train, test = (_tracklets_by_table(home, part) for part in PARTS)
    rows = read_table(home / "info" / "query_IDX.mat", "query_IDX").ravel()
    if rows.min() < 1 or rows.max() > len(test):
        raise ReseenError(f"{home}/info/query_IDX.mat does not point at {len(test)} tracklets")
    return train, test, tuple((len(train) + rows - 1).tolist())


def _tracklets_by_table(home: Path, part: str) -> list[BenchmarkTracklet]:
    names = _read_names(home / "info" / f"{part}_name.txt")
    path = home / "info" / f"tracks_{part}_info.mat"
    table = read_table(path, f"track_{part}_info")
    if table.shape[1] != 4:
        raise ReseenError(f"{path} has {table.shape[1]} columns, not first, last, person, camera")
    if table[:, :2].min() < 1 or table[:, :2].max() > len(names):
        raise ReseenError(f"{path} points outside the {len(names)} lines of {part}_name.txt")
    tracklets = []
    for first, last, person, camera in table.tolist():
        # Lines are counted from 1, and the last one belongs to the tracklet.
        tracklet = _tracklet(home / f"bbox_{part}", names[first - 1 : last])
        if (tracklet.person, tracklet.camera) != (person, camera):
            raise ReseenError(f"{path} and {part}_name.txt disagree at line {first}")
        tracklets.append(tracklet)
    return tracklets


def _read_names(path: Path) -> list[str]:
    zipped = path.with_name(f"{path.name}.gz")
    try:
        if path.is_file():
            return read_text(path, "ascii").split()
        return gzip.decompress(read_file(zipped)).decode("ascii").split()
    except (ReseenError, OSError, EOFError, ValueError) as error:
        raise ReseenError(f"cannot read {path}, nor {zipped.name} there: {error}") from error


def _tracklet(folder: Path, names: Sequence[str]) -> BenchmarkTracklet:
    """The tracklet whose frames have these names; name, person and camera stand in each."""
    matches = sorted(map(_parsed, names), key=lambda match: int(match["frame"]))
    if len({match["tracklet"] for match in matches}) != 1:
        raise ReseenError(f"the frames {shortened(names)} are not of one tracklet")
    first = matches[0]
    return BenchmarkTracklet(
        name=first["tracklet"],
        person=JUNK if first["person"] == "00-1" else int(first["person"]),
        camera=int(first["camera"]),
        folder=folder / first["person"],
        files=tuple(match.string for match in matches),
    )


def _parsed(name: str) -> re.Match[str]:
    match = FILE_NAME.fullmatch(name)
    if match is None:
        raise ReseenError(f'"{name}" is no file name of MARS, such as 0001C1T0001F001.jpg')
    return match


def _tracklets_by_names(folder: Path, strangers: list[str]) -> list[BenchmarkTracklet]:
    """The tracklets in the folders of persons; other files' names are added to `strangers`."""
    names: defaultdict[str, list[str]] = defaultdict(list)
    for person in entries(folder)[0]:
        for file in entries(folder / person)[1]:
            match = FILE_NAME.fullmatch(file)
            if match and match["person"] == person:
                names[match["tracklet"]].append(file)
            else:
                strangers.append(f"{folder.name}/{person}/{file}")
    if not names:
        raise ReseenError(f"no picture of a person in {folder}; expected MARS as {LAYOUT}")
    return [_tracklet(folder, files) for files in names.values()]


COUNTS: Counts = {
    "training people": 625,
    "training people seen by 1, 2 … 6 cameras": "6, 221, 184, 137, 55, 22",
    "training tracklets": 8298,
    "training frames": 509914,
    "frames in a training tracklet": "5-900, median 36, mean 61.5",
    "training tracklets shorter than a clip": 1494,
    "training tracklets with gaps": 1,
    "test people": 634,
    "test tracklets": 12180,
    "… of distractors": 3248,
    "… of junk": 870,
    "test frames": 681089,
    "frames in a test tracklet": "2-920, median 30, mean 55.9",
    "test tracklets with gaps": 10,
    "queries": 1980,
    "… of different people or cameras": 1980,
    "… without a match outside the queries": 140,
    "… shorter than a clip": 391,
    "people among the queries": 626,
}
"""Every number that its tables hold."""


def count(_: Path, benchmark: Benchmark) -> Counts:
    """Count what only MARS has."""
    (split,) = benchmark.splits
    train, query, test = (
        [benchmark.tracklets[index] for index in part]
        for part in (split.train, split.query, split.gallery)
    )
    cameras = Counter(map(len, cameras_of_people(train).values()))
    persons = Counter(tracklet.person for tracklet in test)
    names = {tracklet.name for tracklet in query}
    others = cameras_of_people([tracklet for tracklet in test if tracklet.name not in names])
    unmatched = sum(not others.get(one.person, set()) - {one.camera} for one in query)
    return {
        "training people seen by 1, 2 … 6 cameras": ", ".join(
            str(cameras[number]) for number in range(1, 7)
        ),
        "… of distractors": persons[DISTRACTOR],
        "… of junk": persons[JUNK],
        "… of different people or cameras": len({(one.person, one.camera) for one in query}),
        "… without a match outside the queries": unmatched,
        "… shorter than a clip": short(query),
        "people among the queries": people_in(query),
    }
