"""PRID-2011 and iLIDS-VID: two cameras, one tracklet of each person in each.

Their ten published splits travel as MATLAB files in the archive of iLIDS-VID, or as JSON files
that later toolboxes made from these.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reseen.data.datasets.common import (
    Counts,
    Published,
    cameras_of_people,
    random_half_splits,
    split_by_people,
)
from reseen.data.layout import (
    entries,
    enumerate_names,
    folder_with,
    is_picture,
    read_table,
    shortened,
)
from reseen.data.tracklet import Benchmark, BenchmarkTracklet
from reseen.errors import ReseenError
from reseen.files import read_json


@dataclass(frozen=True)
class TwoCameras:
    """How a data set of two cameras lies on disk.

    Attributes:
        layout: the folder tree, for messages.
        inside: the folder that holds the cameras' folders.
        cameras: names of these; the first holds the queries.
        below: where the data set may lie under the folder that the user names.
        split_files: names of files with its published splits.
    """

    layout: str
    inside: str
    cameras: tuple[str, str]
    below: tuple[str, ...]
    split_files: tuple[str, str]

    def folder(self, root: Path) -> Path:
        """The folder `inside` of the data set in `root`."""
        wanted = [f"{self.inside}/{camera}" for camera in self.cameras]
        return folder_with(root, wanted, self.below, self.layout) / self.inside

    def split_file(self, root: Path) -> Path | None:
        """The first of the split files beside or above `inside`; None where there is none."""
        home = self.folder(root).parent
        places = (home / place / name for name in self.split_files for place in SPLIT_FOLDERS)
        return next((place.resolve() for place in places if place.is_file()), None)


SPLIT_FOLDERS = (".", "..", "train-test people splits", "../train-test people splits")
"""Where a split file may lie, seen from the folder that the data set was found in."""

PRID = TwoCameras(
    layout="ROOT/multi_shot/cam_a/person_0001/0001.png, and cam_b beside cam_a",
    inside="multi_shot",
    cameras=("cam_a", "cam_b"),
    below=("prid_2011", "prid2011", "prid2011/prid_2011", "PRID2011"),
    split_files=("splits_prid2011.json", "train_test_splits_prid.mat"),
)
PEOPLE_IN_BOTH_CAMERAS = range(1, 201)

TOO_SHORT = frozenset(
    {6, 19, 31, 52, 57, 62, 71, 94, 106, 120, 136}
    | {138, 139, 142, 145, 158, 159, 166, 183, 190, 199, 200}
)
"""People whom the field leaves out: fewer than 27 frames in one of the cameras.

Many papers write "more than 21 frames" for the same list of 178 people.
"""

PRID_PUBLISHED = Published.of(
    {
        "DVR": (29, 55, 66, 83),
        "SRID": (35, 59, 70, 80),
        "K. Liu et al.": (64, 87, 90, 92),
        "TDL": (57, 80, 88, 94),
        "RCN": (69, 88, 93, 96),
        "McLaughlin et al.": (70, 90, 95, 97),
        "Zheng et al.": (77, 94, None, 99),
    },
    (59, 94, 96, 99),
    (72, 88, 91, 95),
    (70, 90, 93, 95),
    (75, 92, 93, 94),
    (77, 93, 95, 98),
)
"""The paper has 200 people; beside the 178, its numbers are not like for like."""

ILIDS = TwoCameras(
    layout="ROOT/sequences/cam1/person001/cam1_person001_00001.png, and cam2 beside cam1",
    inside="sequences",
    cameras=("cam1", "cam2"),
    below=("i-LIDS-VID", "ilids-vid/i-LIDS-VID"),
    split_files=("train_test_splits_ilidsvid.mat", "splits.json"),
)
ILIDS_PUBLISHED = Published.of(
    {
        "DVR": (23, 42, 55, 68),
        "SRID": (25, 45, 56, 66),
        "K. Liu et al.": (44, 72, 84, 92),
        "TDL": (46, 77, 90, 96),
        "RCN": (56, 88, 96, 98),
        "McLaughlin et al.": (58, 84, 91, 96),
        "Zheng et al.": (53, 81, None, 95),
    },
    (41, 70, 79, 85),
    (56, 83, 92, 95),
    (55, 84, 90, 94),
    (59, 85, 93, 97),
    (61, 85, 94, 97),
)


def load_prid2011(root: Path) -> Benchmark:
    """Read the 200 people whom both cameras have seen: the set of the paper's section 3.1.

    Ten random splits of 100 and 100 people from seed 0. `root` holds `multi_shot`, or is the folder
    above.
    """
    people = {f"person_{number:04d}": number for number in PEOPLE_IN_BOTH_CAMERAS}
    return _load("prid2011", PRID, root, people, has_splits=False)


def load_prid2011_178(root: Path) -> Benchmark:
    """Read the 178 people whom the field uses, with its ten splits of 89 and 89 people.

    The splits come from the files that `PRID` names, beside or above `multi_shot`; without these
    they are random, from seed 0, and a note says so. `root` holds `multi_shot`, or is its parent.
    """
    numbers = (number for number in PEOPLE_IN_BOTH_CAMERAS if number not in TOO_SHORT)
    people = {f"person_{number:04d}": number for number in numbers}
    return _load("prid2011-178", PRID, root, people)


def load_ilids_vid(root: Path) -> Benchmark:
    """Read 300 people, numbered by the order of their folders, not by the gapped folder names.

    The ten splits of 150 and 150 people come from the files that `ILIDS` names, beside or above
    `sequences`, or from the folder "train-test people splits" there; without these they are
    random, from seed 0, and a note says so. `root` holds `sequences`, or is its parent.
    """
    folder = ILIDS.folder(root)
    names = (name for camera in ILIDS.cameras for name in entries(folder / camera)[0])
    people = enumerate_names(name for name in names if name.startswith("person"))
    if not people:
        raise ReseenError(f"no person in {folder}; expected the data set as {ILIDS.layout}")
    return _load("ilids-vid", ILIDS, root, people)


def _load(
    dataset: str, form: TwoCameras, root: Path, people: Mapping[str, int], has_splits: bool = True
) -> Benchmark:
    """Read the tracklets of people, whose folders are named and sorted, and published splits."""
    folder, tracklets, missing, notes = form.folder(root), list[BenchmarkTracklet](), [], []
    for person, number in people.items():
        for camera_number, camera in enumerate(form.cameras, start=1):
            name, place = f"{person}/{camera}", folder / camera / person
            files = tuple(filter(is_picture, entries(place)[1])) if place.is_dir() else ()
            if files:
                tracklets.append(BenchmarkTracklet(name, number, camera_number, place, files))
            else:
                missing.append(name)
    if not tracklets:
        raise ReseenError(
            f"no frame of {len(people)} people in {folder}/{form.cameras[0]}/<person>"
        )
    if missing:
        notes.append(f"tracklets missing or empty: {len(missing)} ({shortened(missing)})")
    if has_splits and (file := form.split_file(root)):
        training = [{people[name] for name in names} for names in _who_trains(file, list(people))]
        splits = tuple(split_by_people(tracklets, numbers) for numbers in training)
    else:
        splits = random_half_splits(tracklets)
        if has_splits:
            notes.append(
                f"no published splits found ({' or '.join(form.split_files)}): "
                "the ten splits are random, from seed 0, and not those that papers share"
            )
    return Benchmark(dataset, tuple(tracklets), splits, tuple(notes))


def _who_trains(path: Path, people: Sequence[str]) -> list[set[str]]:
    """Read who trains in each published trial; everyone else is scored.

    Args:
        path: a `.json` file, a list of {"train": names, "test": names}; or a `.mat` file whose
            `ls_set`, shape (trials, people), holds 1-based positions in `people`: the first
            half of a row is scored, the second half trained on.
        people: the names of all people that were divided, sorted.
    """
    if path.suffix == ".json":
        try:
            trials = [(set(trial["train"]), set(trial["test"])) for trial in read_json(path)]
        except (TypeError, KeyError) as error:
            raise ReseenError(f"{path} is no list of splits, each with train and test") from error
    else:
        rows = read_table(path, "ls_set")
        if rows.min() < 1 or rows.max() > len(people):
            raise ReseenError(f"{path} does not point at the {len(people)} people of this data set")
        named, half = [[people[place - 1] for place in row] for row in rows], rows.shape[1] // 2
        trials = [(set(row[half:]), set(row[:half])) for row in named]
    for train, test in trials:
        if train & test or train | test != set(people):
            raise ReseenError(
                f"{path} does not divide the {len(people)} people of this data set in two; "
                "a person's folder may be missing, or the file belongs to other data"
            )
    return [train for train, _ in trials]


PRID_PEOPLE: Counts = {
    "people in cam_a": 385,
    "people in cam_b": 749,
    "people with 27 frames or more": 178,
    "… who are not on the published list": 0,
    "people with 21 frames or more": 183,
}
PRID_COUNTS: Counts = PRID_PEOPLE | {
    "people of the first 200 in both cameras": 200,
    "tracklets": 400,
    "people in training/scoring": "100/100",
}
PRID_178_COUNTS: Counts = PRID_PEOPLE | {
    "tracklets": 356,
    "published splits": 10,
    "people in training/scoring": "89/89",
}
ILIDS_COUNTS: Counts = {
    "people": 300,
    "people in both cameras": 300,
    "tracklets": 600,
    "frames in a tracklet": "23-192, mean 73",
    "published splits": 10,
    "people in training/scoring": "150/150",
}


def count_prid(root: Path, benchmark: Benchmark) -> Counts:
    """Count the people of PRID-2011 in its folders, whoever is in the benchmark."""
    people = [len(entries(PRID.folder(root) / camera)[0]) for camera in PRID.cameras]
    tracklets = load_prid2011(root).tracklets
    shortest: dict[int, int] = {}
    for tracklet in tracklets:
        shortest[tracklet.person] = min(len(tracklet), shortest.get(tracklet.person, len(tracklet)))
    long_enough = {person for person, length in shortest.items() if length >= 27}
    strangers = long_enough - (set(PEOPLE_IN_BOTH_CAMERAS) - TOO_SHORT)
    in_both = [cameras for cameras in cameras_of_people(tracklets).values() if len(cameras) == 2]
    return {
        "people in cam_a": people[0],
        "people in cam_b": people[1],
        "people with 27 frames or more": len(long_enough),
        "… who are not on the published list": len(strangers),
        "people with 21 frames or more": sum(length >= 21 for length in shortest.values()),
        "people of the first 200 in both cameras": len(in_both),
        "published splits": len(benchmark.splits) if PRID.split_file(root) else 0,
    }


def count_ilids(root: Path, benchmark: Benchmark) -> Counts:
    """Count the splits of iLIDS-VID, and show its lengths as they are published."""
    lengths = np.array([len(tracklet) for tracklet in benchmark.tracklets])
    return {
        "frames in a tracklet": f"{lengths.min()}-{lengths.max()}, mean {lengths.mean():.0f}",
        "published splits": len(benchmark.splits) if ILIDS.split_file(root) else 0,
    }
