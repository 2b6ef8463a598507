"""iLIDS-VID: 300 people in two cameras of an airport hall."""

from pathlib import Path

from reseen.data.datasets.two_cameras import load_two_cameras
from reseen.data.layout import entries, enumerate_names, folder_with
from reseen.data.tracklet import Benchmark
from reseen.errors import ReseenError

LAYOUT = "ROOT/sequences/cam1/person001/cam1_person001_00001.png, and cam2 beside cam1"
CAMERAS = ("cam1", "cam2")
SPLIT_FILES = ("train_test_splits_ilidsvid.mat", "splits.json")


def load(root: Path) -> Benchmark:
    """Read 300 people, numbered by the order of their folders, not by the gapped folder names.

    The ten splits of 150 and 150 people come from `SPLIT_FILES` beside or above `sequences`, or
    from the folder "train-test people splits" there; without these they are random, from seed
    0, and a note says so.

    Args:
        root: the folder that holds `sequences`, or its parent.

    Raises:
        ReseenError: the folder does not hold the data set, or the split file divides others.
    """
    folder = sequences(root)
    names = (name for camera in CAMERAS for name in entries(folder / camera)[0])
    people = enumerate_names(name for name in names if name.startswith("person"))
    if not people:
        raise ReseenError(f"no person in {folder}; expected the data set as {LAYOUT}")
    return load_two_cameras("ilids-vid", folder, CAMERAS, people, SPLIT_FILES)


def sequences(root: Path) -> Path:
    """The folder `sequences` of the data set in `root`.

    Raises:
        ReseenError: it is not there, or a camera's folder is missing in it.
    """
    wanted = [f"sequences/{camera}" for camera in CAMERAS]
    return folder_with(root, wanted, ("i-LIDS-VID", "ilids-vid/i-LIDS-VID"), LAYOUT) / "sequences"
