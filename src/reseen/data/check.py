"""Comparing a data set's folder with what it must hold."""

from collections.abc import Iterator
from pathlib import Path

from reseen.data.datasets import known_dataset, load
from reseen.data.datasets.common import cameras_of_people
from reseen.data.layout import entries, gaps
from reseen.data.pictures import read_picture
from reseen.data.store import FrameStore, damaged_shards
from reseen.data.tracklet import Benchmark, BenchmarkTracklet
from reseen.errors import ReseenError
from reseen.files import CheckResult, Fact
from reseen.parallel import unordered
from reseen.progress import progress


def check(
    dataset: str, root: Path, layout: str | None = None, processes: int | None = None
) -> CheckResult:
    """Compare a data set's folder with what it must hold, and decode every picture in it.

    Arguments as for `reseen.data.datasets.load`, and how many processes decode side by side: as
    many as there are cores when None.
    """
    known = known_dataset(dataset)
    if not any(entries(root)):
        raise ReseenError(f"{root} is empty; it must be the data set's folder")
    try:
        benchmark = load(dataset, root, layout)
        facts = known.count(root, benchmark)
    except ReseenError as error:
        return CheckResult(problems=(str(error),))
    problems = (
        *(_odd_tracklets(benchmark) if not known.has_oddities else ()),
        *_bad_pictures(benchmark, known.picture_size, processes),
    )
    return CheckResult(facts, problems, benchmark.notes)


def check_store(path: Path) -> CheckResult:
    """Read a prepared store whole, and compare every file with its checksum."""
    store = FrameStore(path)
    facts = (
        Fact("people", None, len({person for person in store.persons.tolist() if person > 0})),
        Fact("tracklets", None, len(store)),
        Fact("frames", None, len(store.frames)),
        Fact("splits", None, len(store.splits)),
    )
    return CheckResult(facts, tuple(damaged_shards(path)), (*store.notes, *store.left_out))


def _odd_tracklets(benchmark: Benchmark) -> Iterator[str]:
    """Name what no sound data set holds."""
    cameras = cameras_of_people(benchmark.tracklets)
    for tracklet in benchmark.tracklets:
        if len(cameras[tracklet.person]) == 1:
            yield f"{tracklet.name}: no other camera has seen this person"
        if len(tracklet) == 1:
            yield f"{tracklet.name}: one frame only"
        for before, after in gaps(tracklet.files):
            yield f"{tracklet.name}: a gap between {before} and {after}"


def _bad_pictures(
    benchmark: Benchmark, size: tuple[int, int] | None, processes: int | None
) -> list[str]:
    total = sum(map(len, benchmark.tracklets))
    problems: list[str] = []
    with progress("checking", total, "pictures") as advance:
        tasks = ((tracklet, size) for tracklet in benchmark.tracklets)
        for count, found in unordered(_inspect, tasks, processes):
            problems.extend(found)
            advance(count)
    return sorted(problems)


def _inspect(tracklet: BenchmarkTracklet, size: tuple[int, int] | None) -> tuple[int, list[str]]:
    """How many pictures a tracklet has, and what is wrong with them."""
    problems = []
    for path in tracklet.paths:
        try:
            height, width, _ = read_picture(path).shape
        except ReseenError as error:
            problems.append(str(error))
            continue
        if size and (height, width) != size:
            problems.append(f"{path} is {height}×{width} pixels, not {size[0]}×{size[1]}")
    return len(tracklet), problems
