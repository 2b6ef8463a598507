"""How fast and how exact the gallery's search is, how fast features go in, and in how much memory.

Run as `python benchmarks/bench_gallery.py [--sizes 100000 1000000] [--memory-rows 1000000]`. A
million tracklets need 1.2 GB of disk, ten million 12 GB. Features are 128 numbers, in two kinds:
"people" are as a network makes them, ten tracklets a person around a centre of their own, with
most of the variation in a few directions; "random" ones are independent Gaussian numbers without
any structure, the hardest case there is for an index. A search filters by one of eight cameras.
"""

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reseen.gallery.gallery import Gallery
from reseen.gallery.records import Filter, NewTracklets, Query

DIMENSIONS, CAMERAS, BATCH = 128, 8, 20_000
SEARCHES, NEAREST = 200, 20
TRACKLETS_OF_A_PERSON = 10
SPREAD = 0.5
"""Of a person's tracklets around their centre, as a share of that of the centres."""

MILLISECONDS = {100_000: 10.0, 1_000_000: 20.0}
RECALL, FEATURES_A_SECOND, MEMORY = 0.99, 20_000, 2.0
ROW = "{:56} {:>10} {:>9}  {}"

Matrix = NDArray[np.float32]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="*", default=[100_000, 1_000_000])
    parser.add_argument("--kinds", nargs="*", default=["people", "random"])
    parser.add_argument("--memory-rows", type=int, default=1_000_000)
    asked = parser.parse_args()
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores at the beginning")
    print(ROW.format("what", "measured", "bound", ""))
    with tempfile.TemporaryDirectory() as folder:
        measure_memory(Path(folder), asked.memory_rows)  # first, while the peak is still low
    for kind in asked.kinds:
        for size in asked.sizes:
            with tempfile.TemporaryDirectory() as folder:
                measure_search(Path(folder), kind, size)
    print(f"load average {os.getloadavg()[0]:.1f} at the end")


def row(what: str, measured: float, bound: float, *, at_least: bool = False) -> None:
    fine = measured >= bound if at_least else measured <= bound
    verdict = "ok" if fine else "not ok"
    print(ROW.format(what, f"{measured:,.4g}", f"{bound:,g}", verdict), flush=True)


def measure_search(folder: Path, kind: str, size: int) -> None:
    features = FEATURES[kind](np.random.default_rng(0), size)
    cameras = np.random.default_rng(1).integers(0, CAMERAS, size)
    gallery = Gallery.open(folder, create=True)
    started = time.perf_counter()
    fill(gallery, batches(features, cameras))
    seconds = time.perf_counter() - started
    gallery.optimise()
    milliseconds, recall = search(gallery, features, cameras)
    label = f"{size:,} {kind}"
    row(f"{label}: features/s added", size / seconds, FEATURES_A_SECOND, at_least=True)
    row(f"{label}: median search, ms", milliseconds, MILLISECONDS.get(size, 20.0))
    row(f"{label}: recall@{NEAREST}", recall, RECALL, at_least=True)


def people(random: np.random.Generator, size: int) -> Matrix:
    directions = (np.arange(1, DIMENSIONS + 1) ** -0.5).astype(np.float32)
    persons = -(-size // TRACKLETS_OF_A_PERSON)
    centres = random.normal(size=(persons, DIMENSIONS)).astype(np.float32)
    features = np.repeat(centres, TRACKLETS_OF_A_PERSON, axis=0)[:size]
    features += SPREAD * random.normal(size=features.shape).astype(np.float32)
    return random.permutation(features * directions)


def unstructured(random: np.random.Generator, size: int) -> Matrix:
    return random.normal(size=(size, DIMENSIONS)).astype(np.float32)


FEATURES = {"people": people, "random": unstructured}


def batches(
    features: Matrix, cameras: NDArray[np.int64]
) -> Iterator[tuple[NewTracklets, dict[str, Matrix]]]:
    for first in range(0, len(features), BATCH):
        block = slice(first, first + BATCH)
        yield embedded(first, features[block], cameras[block])


def embedded(
    first: int, features: Matrix, cameras: NDArray[np.int64]
) -> tuple[NewTracklets, dict[str, Matrix]]:
    numbers = range(first, first + len(features))
    tracklets = NewTracklets(
        ids=[f"tracklet-{number:08d}" for number in numbers],
        cameras=[f"camera-{camera}" for camera in cameras],
        sources=[f"film-{number % 50}" for number in numbers],
        starts=[float(number) for number in numbers],
        ends=[number + 5.0 for number in numbers],
        frames=[8 + number % 200 for number in numbers],
    )
    return tracklets, {"net": features}


def fill(gallery: Gallery, rows: Iterator[tuple[NewTracklets, dict[str, Matrix]]]) -> None:
    for tracklets, embeddings in rows:
        gallery.add_embedded(tracklets, embeddings)


def search(gallery: Gallery, features: Matrix, cameras: NDArray[np.int64]) -> tuple[float, float]:
    """Median milliseconds, and the share of the truly nearest that were found."""
    times, hits = [], []
    for place in np.random.default_rng(2).integers(0, len(features), SEARCHES):
        camera = int(cameras[place] + 1) % CAMERAS
        query = Query("net", features[place], f"tracklet-{place:08d}", known=True)
        started = time.perf_counter()
        matches = gallery.search(query, NEAREST, Filter(camera=f"camera-{camera}"))
        times.append(time.perf_counter() - started)
        found = {int(match.entry.id[-8:]) for match in matches}
        hits.append(len(found & nearest(features, cameras, place, camera)) / NEAREST)
    return 1000 * float(np.median(times)), float(np.mean(hits))


def nearest(features: Matrix, cameras: NDArray[np.int64], place: int, camera: int) -> set[int]:
    (chosen,) = np.nonzero(cameras == camera)
    away = np.linalg.norm(features[chosen] - features[place], axis=1)
    return set(chosen[np.argpartition(away, NEAREST)[:NEAREST]].tolist())


def measure_memory(folder: Path, rows: int) -> None:
    """How much this process grows while features are made up and added one batch at a time."""
    gallery, random = Gallery.open(folder, create=True), np.random.default_rng(0)
    cameras = random.integers(0, CAMERAS, BATCH)
    before = peak()
    started = time.perf_counter()
    for first in range(0, rows, BATCH):
        features = unstructured(random, BATCH)
        gallery.add_embedded(*embedded(first, features, cameras))
    seconds = time.perf_counter() - started
    row(
        f"{rows:,} added: features/s, making them up included",
        rows / seconds,
        FEATURES_A_SECOND,
        at_least=True,
    )
    row(f"{rows:,} added: growth of the peak memory, GB", (peak() - before) / 1e6, MEMORY)


def peak() -> int:
    """Most memory that this process ever held, in kB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main()
