"""How much faster than it plays a video becomes tracklets, and tracklets in a gallery.

Run as `python benchmarks/bench_track.py [VIDEO]`. The video is read once with the built-in people
detector, once with the boxes that this gave, as if another tool had found them, and once with a
detector from an ONNX file. Each time the tracklets then go into a new gallery, with the colour
stripes as features, the last time with those of lite0.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2

from reseen.data.tracked import tracklets_in
from reseen.gallery.extractors import open_extractor
from reseen.gallery.gallery import Gallery
from reseen.tracking.track import TrackReport, track
from reseen.tracking.video import frames_from

DATA = Path(__file__).resolve().parents[2] / "shared/data"
VIDEO = DATA / "one-by-one-person-detection.mp4"
DETECTOR = DATA / "models/yolox_nano.onnx"
WITH_DETECTOR, WITH_BOXES, WITH_NETWORKS = 1.0, 10.0, 2.0
"""Least seconds of video for each second of work."""

MEMORY = 1.2
"""Most memory that the whole video may take, as a multiple of that of its first frames."""

FIRST_FRAMES = 200
ROW = "{:56} {:>10} {:>9}  {}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("video", type=Path, nargs="?", default=VIDEO)
    parser.add_argument("--detector", type=Path, default=DETECTOR, help="an ONNX file")
    parser.add_argument("--only-track-into", type=Path, help="for the measurement of memory")
    asked = parser.parse_args()
    if asked.only_track_into:
        track(asked.video, "hall", asked.only_track_into)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        return
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores at the beginning")
    print(ROW.format("what", "measured", "bound", ""))
    with tempfile.TemporaryDirectory() as folder:
        measure_speed(asked.video, asked.detector, Path(folder))
        measure_memory(asked.video, Path(folder))
    print(f"load average {os.getloadavg()[0]:.1f} at the end")


def row(what: str, measured: float, bound: float, *, at_least: bool = False) -> None:
    fine = measured >= bound if at_least else measured <= bound
    print(ROW.format(what, f"{measured:,.4g}", f"{bound:,g}", "ok" if fine else "not ok"))


def measure_speed(video: Path, detector: Path, folder: Path) -> None:
    plays = max(frame.seconds for frame in frames_from(video))
    found, boxes = folder / "found", folder / "found" / "tracks.txt"
    for what, out, ways, model, bound in (
        ("the built-in detector", found, {"detector": "hog"}, "stripes", WITH_DETECTOR),
        ("boxes given", folder / "given", {"boxes": boxes}, "stripes", WITH_BOXES),
        (detector.stem, folder / "network", {"detector": str(detector)}, "lite0", WITH_NETWORKS),
    ):
        started, worked = time.perf_counter(), time.process_time()
        report = track(video, "hall", out, **ways)
        tracked, searched = time.perf_counter(), time.process_time()
        add(folder / f"{out.name}-gallery", out, model)
        added, worked = time.perf_counter(), (searched - worked, time.process_time() - searched)
        tell(report, *worked)
        row(f"track, {what}: times as fast", plays / (tracked - started), bound, at_least=True)
        both = plays / (added - started)
        row(f"track, {model}, add, {what}: times as fast", both, bound, at_least=True)


def tell(report: TrackReport, worked: float, to_add: float) -> None:
    rate = report.frames / worked
    print(f"  {report.frames} frames, {report.tracklets} tracklets, {report.crops} crops")
    print(f"  {worked:.1f} s of processor time to track: {rate:.0f} frames a second on one core")
    print(f"  {to_add:.1f} s of processor time to add")


def add(gallery: Path, tracklets: Path, model: str) -> None:
    opened = Gallery.open(str(gallery), create=True)
    opened.add(tracklets_in(tracklets, "hall"), [open_extractor(model)])


def measure_memory(video: Path, folder: Path) -> None:
    beginning = folder / "beginning.avi"
    code = cv2.VideoWriter_fourcc(*"MJPG")
    writer = None
    for frame in frames_from(video):
        if frame.index == FIRST_FRAMES:
            break
        height, width = frame.picture.shape[:2]
        writer = writer or cv2.VideoWriter(str(beginning), code, 10, (width, height))
        writer.write(cv2.cvtColor(frame.picture, cv2.COLOR_RGB2BGR))
    writer.release()
    whole, first = (peak(path, folder / f"peak-{path.stem}") for path in (video, beginning))
    print(f"  {whole / 1024:,.0f} MiB for all frames, {first / 1024:,.0f} for {FIRST_FRAMES}")
    row("memory, the whole video to its beginning", whole / first, MEMORY)


def peak(video: Path, out: Path) -> int:
    """Peak memory of a process that does nothing but track, in KiB."""
    command = [sys.executable, __file__, str(video), "--only-track-into", str(out)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


if __name__ == "__main__":
    main()
