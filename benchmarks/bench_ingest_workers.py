"""Whether more processes take in many short videos faster: `ingest --workers`.

Run as `python benchmarks/bench_ingest_workers.py [--videos N] [--workers N]`. The videos are drawn
by the program: synthetic people who walk past, three seconds each. They are the same film with
other beginnings, so that drawing takes no longer than what is measured. The detector is told the
background and looks for what differs. Both ways take turns, into a new gallery each time, and the
least of all rounds counts.
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
import numpy as np

from reseen.gallery.gallery import Gallery
from reseen.synthetic.scene import Difficulty
from reseen.synthetic.synthesize import Settings, tracklet
from reseen.tracking.detections import Detections

WIDTH, HEIGHT, FPS, FRAMES = 320, 240, 10, 30
FILMS, SPEED_UP = 10, 1.7
ROW = "{:44} {:>10} {:>10}  {}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=1_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    asked = parser.parse_args()
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores at the beginning")
    print(ROW.format("what", "by clock", "processor", ""))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        films(folder, asked.videos)
        took: dict[int, list[float]] = {1: [], asked.workers: []}
        held = set()
        for turn in range(asked.rounds):
            for workers, seconds in took.items():
                place = folder / f"gallery-{workers}-{turn}"
                clock, processor = timed(folder, place, workers)
                seconds.append(clock)
                print(ROW.format(f"{workers} workers, s", f"{clock:.1f}", f"{processor:.1f}", ""))
                held.add(frozenset(entry.id for entry in Gallery.open(place).entries()))
    print(ROW.format("tracklets", len(next(iter(held))), "", "ok" if len(held) == 1 else "NOT OK"))
    gain = min(took[1]) / min(took[asked.workers])
    verdict = "ok" if gain >= SPEED_UP else "not ok"
    print(ROW.format("times as fast", f"{gain:.2f}", f">= {SPEED_UP}", verdict))
    print(f"load average {os.getloadavg()[0]:.1f} at the end")


def films(folder: Path, count: int) -> None:
    """Videos of a person who crosses a grey yard, and a list of them."""
    drawn = [film(folder / f"film{number}.avi", number + 1) for number in range(FILMS)]
    begun = 1_777_636_800
    paths = []
    for number in range(count):
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(begun + 60 * number))
        paths.append(folder / f"yard_{stamp}.avi")
        paths[-1].hardlink_to(drawn[number % FILMS])
    (folder / "videos.txt").write_text("".join(f"{path}\n" for path in paths))


def film(path: Path, person: int) -> Path:
    settings = Settings(FILMS, 2, 0.0, 0, False, Difficulty())
    crops = list(tracklet(settings, person, 1))
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), FPS, (WIDTH, HEIGHT))
    for index in range(FRAMES):
        picture = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
        left = 10 + 8 * index
        picture[80:208, left : left + 64] = crops[index % len(crops)]
        writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    writer.release()
    return path


def find(picture: np.ndarray) -> Detections:
    """Where the yard is not grey."""
    other = cv2.absdiff(picture, np.full_like(picture, 128)).max(axis=2) > 24
    if other.sum() < 500:
        return Detections.of([], [])
    left, top, width, height = cv2.boundingRect(other.astype(np.uint8))
    return Detections.of([(left, top, left + width, top + height)], [0.9])


def timed(folder: Path, place: Path, workers: int) -> tuple[float, float]:
    words = ["ingest", "--files-from", folder / "videos.txt", "--gallery", place]
    words += ["--camera-from", "{camera}_{start}.avi", "--model", "stripes"]
    words += ["--detector", "bench_ingest_workers:find", "--workers", workers]
    program = [sys.executable, "-m", "reseen", "--quiet", *map(str, words)]
    paths = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(program, check=True, stdout=subprocess.DEVNULL, env=environment)
    clock, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    return clock, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
