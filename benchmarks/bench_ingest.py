"""How much one pass over a video saves: `ingest` against `track` and `gallery add`.

Run as `python benchmarks/bench_ingest.py [VIDEO] [--detector D] [--repeats N]`. Each way runs as
commands in new processes, turn by turn, into a new gallery each time. Seconds of the processor are
told beside those of the clock, since other work on the machine disturbs them less; the least of all
repeats counts. One pass reads and searches frames while it follows and embeds, on another core.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from reseen.gallery.gallery import Gallery

VIDEO = Path(__file__).resolve().parents[2] / "shared/data/one-by-one-person-detection.mp4"
SHARE = 0.85
"""Most time that one pass may take, as a share of that of two."""

ROW = "{:56} {:>10} {:>9}  {}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("video", type=Path, nargs="?", default=VIDEO)
    parser.add_argument("--detector", default="hog", help="as for reseen track")
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores at the beginning")
    print(ROW.format("what", "measured", "bound", ""))
    one, two = [], []
    for _ in range(asked.repeats):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            seen = [asked.video, "--camera", "hall", "--detector", asked.detector]
            one.append(seconds(["ingest", *seen, "--gallery", folder / "one"]))
            row("pictures on disk after one pass", len(list(folder.rglob("*.jpg"))), 0)
            tracked = seconds(["track", *seen, "--out", folder / "tracked"])
            added = seconds(["gallery", "add", folder / "two", folder / "tracked"])
            two.append((tracked[0] + added[0], tracked[1] + added[1]))
            ids = [
                {each.id for each in Gallery.open(folder / way).entries()} for way in ("one", "two")
            ]
            row("tracklets that only one way found", len(ids[0] ^ ids[1]), 0)
    for place, what in enumerate(("by the clock", "of the processor")):
        least_one, least_two = (min(each[place] for each in way) for way in (one, two))
        print(ROW.format(f"ingest, seconds {what}", f"{least_one:.1f}", "", ""))
        print(ROW.format(f"track and gallery add, seconds {what}", f"{least_two:.1f}", "", ""))
        row(f"ingest as a share, {what}", least_one / least_two, SHARE)
    print(f"load average {os.getloadavg()[0]:.1f} at the end")


def row(what: str, measured: float, bound: float) -> None:
    verdict = "ok" if measured <= bound else "not ok"
    print(ROW.format(what, f"{measured:,.4g}", f"{bound:,g}", verdict), flush=True)


def seconds(words: list[object]) -> tuple[float, float]:
    """What a command takes, by the clock and of the processor."""
    program = [sys.executable, "-m", "reseen", "--quiet", *map(str, words)]
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(program, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    took, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
