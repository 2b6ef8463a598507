"""LS-VID: 15 cameras, 3,772 people; Li et al., ICCV 2019."""

from pathlib import Path

from reseen.data.datasets.common import Counts, published_split
from reseen.data.layout import entries, read_table, shortened
from reseen.data.tracklet import JUNK, Benchmark, BenchmarkTracklet
from reseen.errors import ReseenError
from reseen.files import read_text

LAYOUT = (
    "ROOT/list_sequence/list_seq_train.txt and list_seq_test.txt, ROOT/test/data/info_test.mat "
    "(or both under ROOT/info), and the pictures in ROOT/tracklet_train and ROOT/tracklet_test"
)
COUNTS: Counts = {
    "people": 3772,
    "training people": 842,
    "training tracklets": 2831,
    "queries": 3504,
    "gallery tracklets": 7829,
    "cameras": 15,
}


def load(root: Path) -> Benchmark:
    """Read LS-VID by its lists: a line for each tracklet, with its place and its person.

    The queries are the published ones, the gallery is every other test tracklet.
    """
    lists, info = root / "list_sequence", root / "test/data/info_test.mat"
    if not lists.is_dir():
        lists, info = root / "info/list_sequence", root / "info/data/info_test.mat"
    train, test = (_tracklets(root, lists / f"list_seq_{part}.txt") for part in ("train", "test"))
    rows = (read_table(info, "query").ravel() - 1).tolist()
    split = published_split(len(train), len(test), rows)
    return Benchmark("ls-vid", (*train, *test), (split,))


def _tracklets(root: Path, listed: Path) -> list[BenchmarkTracklet]:
    try:
        lines = read_text(listed).splitlines()
    except ReseenError as error:
        raise ReseenError(f"{error}; expected LS-VID as {LAYOUT}") from error
    return [_tracklet(root, listed, line.split()) for line in lines if line.strip()]


def _tracklet(root: Path, listed: Path, columns: list[str]) -> BenchmarkTracklet:
    """The pictures whose paths begin with the first column; the camera stands in their names."""
    place = Path(columns[0])
    if place.is_absolute() or ".." in place.parts or len(columns) not in (2, 3):
        raise ReseenError(f"{listed} holds {columns}; expected a place below ROOT and a person")
    folder = root / place if (root / place).is_dir() else (root / place).parent
    prefix = "" if folder == root / place else place.name
    files = tuple(file for file in entries(folder)[1] if file.startswith(prefix))
    cameras = {file.split("_")[2] if file.count("_") > 2 else "none" for file in files}
    if len(cameras) != 1 or not min(cameras).isdecimal():
        raise ReseenError(
            f"the pictures {shortened(files) or 'none'} in {folder} do not name one camera; "
            "expected names like 0001_0002_05_0003.jpg, whose third number is the camera"
        )
    try:
        person, camera = int(columns[1]), int(min(cameras))
        if int(columns[-1]) not in (person, camera):
            raise ValueError(f"camera {columns[-1]}, but the pictures say {camera}")
    except ValueError as error:
        raise ReseenError(f"{listed} holds {columns}: {error}") from error
    known = JUNK if person == -1 else 1 + person
    return BenchmarkTracklet(place.as_posix(), known, camera, folder, files)
