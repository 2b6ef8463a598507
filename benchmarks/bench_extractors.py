"""What extractors reach on real people in folders, as they are and adapted without labels.

Run as `python benchmarks/bench_extractors.py ROOT... [--model NAME|FILE ...]`. A ROOT holds, in
whatever folders, pictures that are named as MARS's (0001C1T0001F001.jpg) or as CUHK03's
(PPPP_NN.jpg, NN below 5 from camera 1, the others from camera 2), or what `reseen synthesize` made
(PERSON/camera_N/FRAME.png). Every tracklet is searched for among those of the other cameras; with
two cameras, those of camera 1 only. At most 16 pictures of a tracklet are taken. How fast crops
become vectors is told as a share of what onnxruntime makes of their pixels alone, by the
processor's seconds and by the clock's (bound: 0.85). Intervals hold 95 % over people; adaptation
learns from the very tracklets that are searched, without knowing whose they are.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reseen.data.colour_histogram import FRAMES, ColourHistogram
from reseen.data.frame_vectors import BATCH, FrameNetwork, open_network
from reseen.data.pictures import evenly, read_picture
from reseen.evaluation.adaptation import (
    CameraMeans,
    self_trained_whitening,
    tracklet_whitening,
)
from reseen.evaluation.intervals import effective_queries, wilson_interval
from reseen.evaluation.metrics import euclidean_distances, score
from reseen.gallery.adapting import FEWEST_OF_A_CAMERA
from reseen.models.networks import open_session

Features = NDArray[np.floating]
BEHIND_ALL = 100
"""Added to the distances of a camera's own tracklets, which are not searched."""

TIMED = 40 * BATCH
"""Crops at most that the speed is measured on: half a gigabyte of pixels."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("roots", nargs="+", type=Path)
    parser.add_argument("--model", action="append", default=[])
    arguments = parser.parse_args()
    for root in arguments.roots:
        tracklets = tracklets_in(root)
        keys = list(tracklets)
        persons = np.array([person + 1 for person, _, _ in keys])  # 0 would be a distractor
        cameras = np.array([camera for _, camera, _ in keys])
        print(f"{root}: {len(keys)} tracklets of {len(set(persons))} people")
        pictures = [
            [read_picture(path) for path in evenly_paths(paths)] for paths in tracklets.values()
        ]
        show("stripes", ColourHistogram().embed(pictures), persons, cameras)
        for model in arguments.model or ["lite0"]:
            compare(model, pictures, persons, cameras)


def tracklets_in(root: Path) -> dict[tuple[int, int, str], list[Path]]:
    """Pictures of each (person, camera, tracklet)."""
    found = defaultdict(list)
    for path in sorted([*root.rglob("*.jpg"), *root.rglob("camera_*/*.png")]):
        if path.suffix == ".png":
            found[int(path.parts[-3]), int(path.parts[-2].removeprefix("camera_")), ""].append(path)
        elif "_" in path.stem:
            person, number = path.stem.split("_")
            found[int(person), 1 if int(number) < 5 else 2, ""].append(path)
        else:
            found[int(path.name[:4]), int(path.name[5]), path.name[7:11]].append(path)
    return found


def evenly_paths(paths: list[Path]) -> list[Path]:
    return evenly(paths, FRAMES)  # type: ignore[arg-type, return-value]


def compare(
    model: str, pictures: list[list[NDArray[np.uint8]]], persons: Features, cameras: Features
) -> None:
    network = open_network(model)
    counts = [len(some) for some in pictures]
    print(f"  {network.model_id}")
    crops = [picture for some in pictures for picture in some]
    show_speed(network, crops[:TIMED])
    vectors = network.vectors(crops)
    whose = np.repeat(np.arange(len(counts)), counts)
    means = np.add.reduceat(vectors, np.cumsum([0, *counts[:-1]])) / np.array(counts)[:, None]
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    show("as it is", means, persons, cameras)
    centred = CameraMeans.of(means, cameras, FEWEST_OF_A_CAMERA)
    show("camera means off", centred.remove(means, cameras), persons, cameras)
    whitening = tracklet_whitening(centred.remove(vectors, cameras[whose]), whose)
    adapted = whitening.apply(centred.remove(means, cameras))
    show("and whitened", adapted, persons, cameras)
    learned = self_trained_whitening(
        centred.remove(vectors, cameras[whose]),
        whose,
        centred.remove(means, cameras),
        cameras,
        np.empty((0, 2), np.int64),
    )
    trained = learned.apply(centred.remove(means, cameras))
    show("and self-trained", trained, persons, cameras)


def show_speed(network: FrameNetwork, crops: list[NDArray[np.uint8]]) -> None:
    session = open_session(network.path)
    name = session.get_inputs()[0].name
    pixels = [network._pixels(crops[at : at + BATCH]) for at in range(0, len(crops), BATCH)]
    embedded = seconds(lambda: network.vectors(crops))
    bare = seconds(lambda: [session.run(None, {name: batch}) for batch in pixels])
    for of, ours, least in zip(("processor", "clock"), embedded, bare, strict=True):
        rates = f"{len(crops) / ours:.0f} of {len(crops) / least:.0f} crops a second"
        print(f"    {rates} by the {of}: {least / ours:.2f} of onnxruntime alone")


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Of the processor and of the clock."""
    processor, clock = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - processor, time.perf_counter() - clock


def show(what: str, features: Features, persons: Features, cameras: Features) -> None:
    features = features / np.linalg.norm(features, axis=1, keepdims=True)
    asked = cameras == 1 if len(set(cameras)) == 2 else np.ones(len(cameras), bool)
    distances = euclidean_distances(features[asked], features)
    distances[cameras[asked, None] == cameras] += BEHIND_ALL
    scores = score(distances, persons[asked], cameras[asked], persons, cameras)
    people = effective_queries(persons[asked][scores.scored])
    low, high = wilson_interval(scores.cmc[0], people)
    print(
        f"    {what:18} rank-1 {scores.cmc[0]:5.1%} [{low:.0%}, {high:.0%}],"
        f" mAP {scores.mean_average_precision:5.1%}, {scores.scored.sum()} queries"
    )


if __name__ == "__main__":
    main()
