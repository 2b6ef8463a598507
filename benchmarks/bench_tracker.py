"""How well people are followed: IDF1 against boxes drawn by hand.

Run as `python benchmarks/bench_tracker.py SEQUENCE [DETECTOR.onnx ...]`, where SEQUENCE is a folder
in the MOT challenge's layout (img1/, gt/gt.txt, det/det.txt), such as TUD-Campus. It is followed
with the built-in detector, with the detections that come with it and with each detector named.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from reseen.tracking.detections import Boxes, overlap
from reseen.tracking.mot import read_boxes
from reseen.tracking.track import track

Seen = dict[int, dict[int, Boxes]]
"""Boxes (4,) by person and by frame."""


def identity_scores(truth: Seen, found: Seen, least_overlap: float = 0.5) -> dict[str, float]:
    """IDF1, identity precision and recall (Ristani et al., ECCV Workshops 2016, section 4).

    Each true person is matched with one followed at most, so that as many boxes as possible agree;
    those are the true positives, all other boxes on either side are false.
    """
    agreeing = np.zeros((len(truth), len(found)))
    for row, real in enumerate(truth.values()):
        for column, followed in enumerate(found.values()):
            both = sorted(real.keys() & followed.keys())
            pairs = [overlap(real[frame][None], followed[frame][None])[0, 0] for frame in both]
            agreeing[row, column] = np.sum(np.array(pairs) >= least_overlap)
    right = agreeing[linear_sum_assignment(agreeing, maximize=True)].sum()
    real, given = (sum(map(len, boxes.values())) for boxes in (truth, found))
    return {
        "IDF1": 2 * right / max(real + given, 1),
        "precision": right / max(given, 1),
        "recall": right / max(real, 1),
        "people": len(found),
    }


def seen(boxes: Path) -> Seen:
    """The boxes of a MOT file whose people have numbers."""
    given, by_person = read_boxes(boxes), {}
    people: dict[int, NDArray[np.int64]] = given.people or {}
    for frame, numbers in people.items():
        for number, box in zip(numbers.tolist(), given.frames[frame].boxes, strict=True):
            by_person.setdefault(number, {})[frame] = box
    return by_person


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sequence", type=Path)
    parser.add_argument("detectors", nargs="*")
    asked = parser.parse_args()
    truth = seen(asked.sequence / "gt" / "gt.txt")
    print(f"{'detector':24} {'IDF1':>6} {'precision':>9} {'recall':>6} {'people':>6}")
    for detector in ("hog", *asked.detectors, "det.txt"):
        boxes = asked.sequence / "det" / detector if detector == "det.txt" else None
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "out"
            track(asked.sequence / "img1", "campus", out, detector=detector, boxes=boxes)
            text = (out / "tracks.txt").read_text()
            scores = identity_scores(truth, seen(out / "tracks.txt") if text else {})
        name = Path(detector).name
        print(f"{name:24} {scores['IDF1']:6.1%} {scores['precision']:9.1%} ", end="")
        print(f"{scores['recall']:6.1%} {scores['people']:6d}")


if __name__ == "__main__":
    main()
