"""How well tracklets of real people are put together, calibrated on other people.

Run as `python benchmarks/bench_identities.py ROOT CALIBRATION [--model NAME|FILE] [--adapted]`,
both folders as bench_extractors reads them: tracklets of ROOT are grouped, with the calibration
fitted on the people of CALIBRATION. Beside it stand two baselines at the same probability of one
half: everybody who is linked through others (single linkage), and each tracklet with the first
that is near enough (a threshold on distance). Labels are given as a human would who knows
everybody, on the pairs of identities that are least sure. With `--crowd N`, meant for synthetic
people, everybody walks past one camera after the other while N others do, and the same is grouped
once more, knowing when each was seen: nobody is in two places at once. With `--size N`, made-up
vectors are grouped instead and one more is added, for the time it takes.
"""

import argparse
import resource
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from bench_extractors import evenly_paths, tracklets_in
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from reseen.data.embeddings import Embeddings
from reseen.data.frame_vectors import open_network
from reseen.data.pictures import read_picture
from reseen.evaluation.adaptation import CameraMeans, tracklet_whitening
from reseen.evaluation.clustering import score_clustering
from reseen.evaluation.metrics import euclidean_distances
from reseen.gallery.calibration import Calibration, calibrate
from reseen.gallery.extractors import open_extractor
from reseen.gallery.gallery import Gallery
from reseen.gallery.identities import Identities
from reseen.gallery.records import NewTracklets

LABELS = 20
STAY = 12.0
"""Seconds that somebody is seen by a camera."""
WAY = (30.0, 90.0)
"""Seconds from camera to camera, at least and at most."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", nargs="?", type=Path)
    parser.add_argument("calibration", nargs="?", type=Path)
    parser.add_argument("--model", default="lite0")
    parser.add_argument("--adapted", action="store_true")
    parser.add_argument("--crowd", type=int)
    parser.add_argument("--size", type=int)
    arguments = parser.parse_args()
    if arguments.size:
        time_size(arguments.size)
        return
    learned = embedded(arguments.calibration, arguments.model, arguments.adapted)
    fitted = calibrate(learned, "model")
    print(f"calibrated on {fitted.people} people: {fitted.held_out}")
    found = embedded(arguments.root, arguments.model, arguments.adapted)
    grouped(found, fitted, [None] * len(found))
    if arguments.crowd:
        grouped(found, fitted, walk_past(found.persons, arguments.crowd))


def embedded(root: Path, model: str, adapted: bool) -> Embeddings:
    """A vector for each tracklet, with the camera's mean off and whitened where asked for."""
    tracklets = tracklets_in(root)
    persons, cameras = (
        np.array(column) for column in zip(*[k[:2] for k in tracklets], strict=True)
    )
    pictures = ([read_picture(path) for path in evenly_paths(some)] for some in tracklets.values())
    means = (
        whitened(model, list(pictures), cameras)
        if adapted
        else open_extractor(model).embed(pictures)
    )
    names = tuple(f"t{number:04d}" for number in range(len(tracklets)))
    return Embeddings(means.astype(np.float32), persons + 1, cameras, names)


def whitened(
    model: str, pictures: list[list[NDArray[np.uint8]]], cameras: NDArray[np.integer]
) -> NDArray[np.floating]:
    vectors = open_network(model).vectors(each for some in pictures for each in some)
    whose = np.repeat(np.arange(len(pictures)), [len(some) for some in pictures])
    means = unit(
        np.stack([vectors[whose == number].mean(axis=0) for number in range(len(pictures))])
    )
    centred = CameraMeans.of(means, cameras)
    whitening = tracklet_whitening(centred.remove(vectors, cameras[whose]), whose)
    return unit(whitening.apply(centred.remove(means, cameras)))


def unit(vectors: NDArray[np.floating]) -> NDArray[np.floating]:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def walk_past(persons: NDArray[np.integer], crowd: int) -> list[float]:
    """When each tracklet starts, so that a camera sees about so many people at once."""
    random = np.random.default_rng(0)
    people = np.unique(persons)
    starts = np.zeros(len(persons))
    for person in people:
        mine = np.flatnonzero(persons == person)
        first = random.uniform(0, STAY * len(people) / crowd)
        starts[mine] = first + np.cumsum(random.uniform(*WAY, len(mine)))
    print(f"walking past, {crowd} people in a camera at once:")
    return starts.tolist()


def grouped(found: Embeddings, fitted: Calibration, starts: Sequence[float | None]) -> None:
    distances = euclidean_distances(found.features, found.features)
    near = fitted.log_odds(distances) > 0
    show("single linkage", connected_components(near)[1], found)
    first = np.array([np.flatnonzero(row)[0] for row in near | np.eye(len(near), dtype=bool)])
    show("threshold on distance", first, found)
    with tempfile.TemporaryDirectory() as folder:
        gallery = filled(Path(folder) / "gallery", found, fitted, starts)
        identities = Identities(gallery, "model")
        members = {each.id: each.identity for each in identities.identify()}
        show("identify", [members[name] for name in found.names], found)
        for _ in range(LABELS):
            one, other = least_sure(found, members, distances, fitted, gallery)
            same = bool(found.persons[one] == found.persons[other])
            gallery.labels.add(found.names[one], found.names[other], same=same)
            members |= {
                each.id: each.identity
                for each in identities.regroup([found.names[one], found.names[other]])
            }
        show(f"and {LABELS} labels", [members[name] for name in found.names], found)


def least_sure(
    found: Embeddings,
    members: dict[str, str],
    distances: NDArray[np.floating],
    fitted: Calibration,
    gallery: Gallery,
) -> tuple[int, int]:
    """The nearest pair of the two identities whose mean log odds is nearest to 0."""
    groups = defaultdict(list)
    for place, name in enumerate(found.names):
        groups[members[name]].append(place)
    said = {frozenset((members[each.query], members[each.match])) for each in gallery.labels.all()}
    odds, names = fitted.log_odds(distances), sorted(groups)
    best = min(
        (abs(odds[np.ix_(groups[one], groups[two])].mean()), one, two)
        for number, one in enumerate(names)
        for two in names[number + 1 :]
        if frozenset((one, two)) not in said
    )
    block = distances[np.ix_(groups[best[1]], groups[best[2]])]
    row, column = np.unravel_index(block.argmin(), block.shape)
    return groups[best[1]][row], groups[best[2]][column]


def filled(
    place: Path, found: Embeddings, fitted: Calibration, starts: Sequence[float | None]
) -> Gallery:
    gallery, count = Gallery.open(place, create=True), len(found)
    tracklets = NewTracklets(
        ids=found.names,
        cameras=[f"camera {number}" for number in found.cameras],
        sources=["sample"] * count,
        starts=starts,
        ends=[None if start is None else start + STAY for start in starts],
        frames=[1] * count,
    )
    gallery.add_embedded(tracklets, {"model": found.features})
    gallery.settings.keep_calibration(fitted)
    return gallery


def show(what: str, identities: object, found: Embeddings) -> None:
    _, numbers = np.unique(np.asarray(identities), return_inverse=True)
    scores = score_clustering(numbers, found.persons)
    print(
        f"  {what:22} B-cubed F1 {scores.bcubed_f1:.3f} (precision {scores.bcubed_precision:.3f}, "
        f"recall {scores.bcubed_recall:.3f}), pairs {scores.pair_precision:.3f}/"
        f"{scores.pair_recall:.3f}, IDF1 {scores.idf1:.3f}, HOTA {scores.hota:.3f}, "
        f"{len(set(numbers))} identities of {len(set(found.persons))} people"
    )


def time_size(size: int) -> None:
    """Made-up people of four tracklets each, in vectors of 512 numbers."""
    random = np.random.default_rng(0)
    persons = random.integers(0, size // 4, size + 1)
    centres = random.normal(size=(size // 4, 512)).astype(np.float32)
    vectors = unit(centres[persons] + 0.6 * random.normal(size=(size + 1, 512)))
    names = tuple(f"t{number:07d}" for number in range(size + 1))
    every = Embeddings(vectors.astype(np.float32), persons + 1, np.arange(size + 1) % 4, names)
    fitted = calibrate(every.take(np.arange(2000)), "model")
    with tempfile.TemporaryDirectory() as folder:
        some = every.take(np.arange(size))
        gallery = filled(Path(folder) / "gallery", some, fitted, [None] * size)
        gallery.optimise()
        identities = Identities(gallery, "model")
        started = time.monotonic(), time.process_time()
        members = identities.identify()
        passed = time.monotonic() - started[0], time.process_time() - started[1]
        sizes = Counter(member.identity for member in members)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(
            f"{size:,}: {passed[0]:.0f} s, {passed[1]:.0f} CPU s, {len(sizes):,} identities of "
            f"{len(set(persons)):,} people, peak {peak:.2f} GB"
        )
        last = every.take(np.array([size]))
        gallery.add_embedded(
            NewTracklets([last.names[0]], ["camera 9"], ["sample"], [None], [None], [1]),
            {"model": last.features},
        )
        for what, look in (
            ("one more joins", lambda: identities.join([last.names[0]])),
            ("finding who is new", identities.catch_up),
        ):
            started = time.monotonic(), time.process_time()
            look()
            print(
                f"{what}: {time.monotonic() - started[0]:.3f} s, "
                f"{time.process_time() - started[1]:.3f} CPU s"
            )


if __name__ == "__main__":
    main()
