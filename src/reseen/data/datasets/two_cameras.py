"""What PRID-2011 and iLIDS-VID share: two cameras, one tracklet of each person in each."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from reseen.data.datasets.published import find_split_file, read_split_file
from reseen.data.datasets.splits import random_half_splits, split_by_people
from reseen.data.layout import entries, is_picture, shortened
from reseen.data.tracklet import Benchmark, BenchmarkTracklet, Split
from reseen.errors import ReseenError


def load_two_cameras(
    dataset: str,
    folder: Path,
    cameras: Sequence[str],
    people: Mapping[str, int],
    split_files: Sequence[str],
) -> Benchmark:
    """Read the tracklets in `folder/<camera>/<person>`, and the published splits if any.

    Args:
        dataset: name of the benchmark.
        folder: where the two cameras' folders lie.
        cameras: names of their folders; the first holds the queries.
        people: for the name of each person's folder, in sorted order, the person's number.
        split_files: names of files with published splits; empty where the splits are random.

    Raises:
        ReseenError: none of the people has a frame, or the split file divides other people.
    """
    tracklets, missing = _read_tracklets(folder, cameras, people)
    if not tracklets:
        raise ReseenError(f"no frame of {len(people)} people in {folder}/{cameras[0]}/<person>")
    notes = []
    if missing:
        notes.append(f"tracklets missing or empty: {len(missing)} ({shortened(missing)})")
    split_file = find_split_file(folder.parent, split_files)
    if split_file:
        splits = _published_splits(tracklets, split_file, people)
    else:
        splits = random_half_splits(tracklets)
        if split_files:
            notes.append(
                f"no published splits found ({' or '.join(split_files)}): "
                "the ten splits are random, from seed 0, and not those that papers share"
            )
    return Benchmark(dataset, tracklets, splits, tuple(notes))


def _read_tracklets(
    folder: Path, cameras: Sequence[str], people: Mapping[str, int]
) -> tuple[tuple[BenchmarkTracklet, ...], list[str]]:
    """The tracklets, and the names of those that are missing or empty."""
    tracklets, missing = [], []
    for person, number in people.items():
        for camera_number, camera in enumerate(cameras, start=1):
            name, place = f"{person}/{camera}", folder / camera / person
            files = tuple(filter(is_picture, entries(place)[1])) if place.is_dir() else ()
            if files:
                tracklets.append(BenchmarkTracklet(name, number, camera_number, place, files))
            else:
                missing.append(name)
    return tuple(tracklets), missing


def _published_splits(
    tracklets: Sequence[BenchmarkTracklet], split_file: Path, people: Mapping[str, int]
) -> tuple[Split, ...]:
    trainings = read_split_file(split_file, list(people))
    return tuple(
        split_by_people(tracklets, {people[name] for name in training}) for training in trainings
    )
