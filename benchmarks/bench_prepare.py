"""How long `prepare` takes beside decoding alone, and how much memory it takes.

Run as `python benchmarks/bench_prepare.py [--memory-frames N]`. The memory is measured on N frames
(1,000,000 of them need 15 GB of disk); they are small, to be done with soon, since a process holds
only a few of them at a time.
"""

import argparse
import multiprocessing
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from reseen.data.prepare import prepare
from reseen.data.tracklet import Benchmark, BenchmarkTracklet, Split
from reseen.parallel import unordered

CASES = {"128x64": (128, 64, 95), "256x128": (256, 128, 80)}
"""Height, width and JPEG quality: 3 to 6 kB a picture, as in the public data sets."""

TIME_BOUND = 4.0
MEMORY_BOUND = 2.0
FRAMES = 24_000
"""Enough that starting the processes, which both sides have to do, hardly counts."""

LENGTH = 80
REPEATS = 3
ROW = "{:50} {:>9} {:>7}  {}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--memory-frames", type=int, default=100_000)
    memory_frames = parser.parse_args().memory_frames
    processes = os.cpu_count() or 1
    print(ROW.format("what", "measured", "bound", ""))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for size, case in CASES.items():
            benchmark = benchmark_of(draw_tracklet(folder / size, *case), FRAMES)
            ratio = time_ratio(benchmark, folder / "store", processes)
            row(f"prepare / decode only, {size} JPEG, {processes} processes", ratio, TIME_BOUND)
        benchmark = benchmark_of(draw_tracklet(folder / "small", 32, 24, 90), memory_frames)
        gigabytes = peak_memory(benchmark, folder / "store")
        row(f"peak memory of {memory_frames:,} frames, GB", gigabytes, MEMORY_BOUND)


def row(what: str, measured: float, bound: float) -> None:
    verdict = "ok" if measured <= bound else "not ok"
    print(ROW.format(what, f"{measured:.2f}", f"{bound:.2f}", verdict), flush=True)


def draw_tracklet(folder: Path, height: int, width: int, quality: int) -> Path:
    """A texture with coarse and fine blotches that drifts, under noise."""
    random = np.random.default_rng(0)
    noise = random.normal(0, 40, (height + 40, width + 40, 3)).astype(np.float32)
    texture = 128 + 8 * cv2.GaussianBlur(noise, (0, 0), height / 20) + cv2.blur(noise, (3, 3))
    folder.mkdir(parents=True)
    for number in range(LENGTH):
        centre = (
            20 + width / 2 + 15 * np.sin(number / 9),
            20 + height / 2 + 10 * np.cos(number / 7),
        )
        shown = cv2.getRectSubPix(texture, (width, height), centre)
        noisy = np.clip(shown + random.normal(0, 3, shown.shape), 0, 255).astype(np.uint8)
        file = str(folder / f"{number:04d}.jpg")
        cv2.imwrite(file, noisy, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return folder


def benchmark_of(folder: Path, frames: int) -> Benchmark:
    """So many frames, by reading the one tracklet in `folder` again and again."""
    files = tuple(sorted(file.name for file in folder.iterdir()))
    numbers = range(frames // len(files))
    tracklets = tuple(
        BenchmarkTracklet(f"{number:06d}", number + 1, 1, folder, files) for number in numbers
    )
    return Benchmark("drawn", tracklets, (Split(tuple(numbers), (), ()),))


def time_ratio(benchmark: Benchmark, store: Path, processes: int) -> float:
    """The quickest `prepare` over the quickest decoding, taken in turns."""

    def prepared() -> None:
        prepare(benchmark, store, processes=processes)
        shutil.rmtree(store)

    pairs = [
        (seconds(prepared), seconds(lambda: decode_all(benchmark, processes)))
        for _ in range(REPEATS)
    ]
    return min(pair[0] for pair in pairs) / min(pair[1] for pair in pairs)


def seconds(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def decode_all(benchmark: Benchmark, processes: int) -> None:
    for _ in unordered(decode, ((tracklet,) for tracklet in benchmark.tracklets), processes):
        pass


def decode(tracklet: BenchmarkTracklet) -> None:
    for path in tracklet.paths:
        cv2.imread(str(path), cv2.IMREAD_COLOR)


def peak_memory(benchmark: Benchmark, store: Path) -> float:
    """Most anonymous memory that this process and its children held together, in GB."""
    ended = threading.Event()
    peak = 0

    def watch() -> None:
        nonlocal peak
        while not ended.wait(0.1):
            children = [child.pid for child in multiprocessing.active_children()]
            peak = max(peak, sum(map(anonymous_bytes, [os.getpid(), *filter(None, children)])))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        prepare(benchmark, store)
    finally:
        ended.set()
        watcher.join()
    return peak / 1e9


def anonymous_bytes(process: int) -> int:
    """Resident memory that no file backs."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except FileNotFoundError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))


if __name__ == "__main__":
    main()
