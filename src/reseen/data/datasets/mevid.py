"""MEVID: 33 cameras, 158 people who change their clothes; Davila et al., WACV 2023."""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reseen.data.datasets.common import Counts, published_split
from reseen.data.layout import folder_with
from reseen.data.tracklet import Benchmark, BenchmarkTracklet
from reseen.errors import ReseenError
from reseen.files import read_text

LAYOUT = (
    "ROOT/bbox_train/0103/0103O020C424T000F00000.jpg and bbox_test; train_name.txt, test_name.txt, "
    "track_train_info.txt, track_test_info.txt, query_IDX.txt there or in mevid-v1-annotation-data"
)
FILE_NAME = re.compile(r"(?P<person>\d{4})O(?P<outfit>\d+)C(?P<camera>\d+)T\d+F\d+\.jpg")
COUNTS: Counts = {"people": 158, "tracklets": 8092, "cameras": 33}


def load(root: Path) -> Benchmark:
    """Read MEVID by its tables, whose offsets count from 0 and include the last picture.

    The queries are the published ones and the gallery is every other test tracklet: the overall
    protocol, in which a match may wear the same clothes or others.
    """
    home = folder_with(root, ("bbox_train", "bbox_test"), ("mevid", "MEVID"), LAYOUT)
    inside = home / "mevid-v1-annotation-data"
    info = inside if inside.is_dir() else home
    train, test = (_tracklets(home, info, part) for part in ("train", "test"))
    rows = _numbers(info / "query_IDX.txt").ravel().tolist()
    split = published_split(len(train), len(test), rows)
    note = "the overall protocol: matches in the same clothes and in others are not told apart"
    return Benchmark("mevid", (*train, *test), (split,), (note,))


def _tracklets(home: Path, info: Path, part: str) -> list[BenchmarkTracklet]:
    path = info / f"track_{part}_info.txt"
    names = read_text(info / f"{part}_name.txt", "ascii").split()
    table = _numbers(path)
    if table.shape[1:] != (5,):
        raise ReseenError(f"{path} must have rows of start, end, person, outfit, camera")
    tracklets = []
    for row, (start, end, person, _, camera) in enumerate(table.tolist()):
        files = tuple(name.rsplit("/", 1)[-1] for name in names[max(start, 0) : end + 1])
        matches = map(FILE_NAME.fullmatch, files)
        known = {(int(m["person"]), int(m["camera"])) if m else (0, 0) for m in matches}
        if known != {(person, camera)} or person < 1 or len(files) != end + 1 - start:
            raise ReseenError(
                f"line {row + 1} of {path} says person {person}, camera {camera}, pictures {start} "
                f"to {end}; {part}_name.txt of {len(names)} names says {sorted(known) or 'nothing'}"
            )
        folder = home / f"bbox_{part}" / f"{person:04d}"
        tracklets.append(BenchmarkTracklet(f"{part}/{row}", person, camera, folder, files))
    return tracklets


def _numbers(path: Path) -> NDArray[np.int64]:
    """A table of whole numbers, which are written as decimal fractions in part."""
    try:
        lines = filter(str.strip, read_text(path, "ascii").split("\n"))
        return np.array([list(map(float, line.split())) for line in lines], np.int64)
    except (ValueError, OverflowError) as error:
        raise ReseenError(f"cannot read {path} as a table of numbers: {error}") from error
