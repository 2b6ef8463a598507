"""PRID-2011: 200 people whom two cameras have seen, among 385 and 749."""

from pathlib import Path

from reseen.data.datasets.two_cameras import load_two_cameras
from reseen.data.layout import folder_with
from reseen.data.tracklet import Benchmark

LAYOUT = "ROOT/multi_shot/cam_a/person_0001/0001.png, and cam_b beside cam_a"
CAMERAS = ("cam_a", "cam_b")
SPLIT_FILES = ("splits_prid2011.json", "train_test_splits_prid.mat")

PEOPLE_IN_BOTH_CAMERAS = range(1, 201)

TOO_SHORT = frozenset(
    {6, 19, 31, 52, 57, 62, 71, 94, 106, 120, 136}
    | {138, 139, 142, 145, 158, 159, 166, 183, 190, 199, 200}
)
"""People whom the field leaves out: fewer than 27 frames in one of the cameras.

Many papers write "more than 21 frames" for the same list of 178 people.
"""


def load(root: Path) -> Benchmark:
    """Read the 200 people whom both cameras have seen: the set of the paper's section 3.1.

    Ten random splits of 100 and 100 people from seed 0.

    Args:
        root: the folder that holds `multi_shot`, or its parent.

    Raises:
        ReseenError: the folder does not hold the data set.
    """
    people = {person_name(number): number for number in PEOPLE_IN_BOTH_CAMERAS}
    return load_two_cameras("prid2011", multi_shot(root), CAMERAS, people, ())


def load_178(root: Path) -> Benchmark:
    """Read the 178 people whom the field uses, with its ten splits of 89 and 89 people.

    The splits come from `SPLIT_FILES` beside or above `multi_shot`; without these they are
    random, from seed 0, and a note says so.

    Args:
        root: the folder that holds `multi_shot`, or its parent.

    Raises:
        ReseenError: the folder does not hold the data set, or the split file divides others.
    """
    numbers = (number for number in PEOPLE_IN_BOTH_CAMERAS if number not in TOO_SHORT)
    people = {person_name(number): number for number in numbers}
    return load_two_cameras("prid2011-178", multi_shot(root), CAMERAS, people, SPLIT_FILES)


def multi_shot(root: Path) -> Path:
    """The folder `multi_shot` of the data set in `root`.

    Raises:
        ReseenError: it is not there, or a camera's folder is missing in it.
    """
    below = ("prid_2011", "prid2011", "prid2011/prid_2011", "PRID2011")
    wanted = [f"multi_shot/{camera}" for camera in CAMERAS]
    return folder_with(root, wanted, below, LAYOUT) / "multi_shot"


def person_name(number: int) -> str:
    """Name of a person's folder."""
    return f"person_{number:04d}"
