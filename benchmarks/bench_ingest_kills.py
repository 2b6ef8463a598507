"""Whether `ingest` loses or doubles anybody when whatever works for it is killed.

Run as `python benchmarks/bench_ingest_kills.py WAY [--kills N] [--videos N]`. WAY is what is killed
with SIGKILL at random moments: `worker`, a process of `--workers 2`; `driver`, the command itself
with its processes; `ray-worker`, a process of a Ray cluster of two nodes; `ray-node`, the second
node, which is then started again; `ray-driver`, the command that uses the cluster. Who has ended is
started again until all is taken in; then the rows must be those of one process that nobody killed.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench_ingest_workers import films

from reseen.gallery.gallery import Gallery, matrix
from reseen.gallery.table import VECTOR

COMMAND = """
from reseen.service import ingest
ingest.SHARD_VIDEOS = 2
from reseen.cli import main
main()
"""
ROW = "{:44} {:>9} {:>7}  {}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("way", choices=["worker", "driver", "ray-worker", "ray-node", "ray-driver"])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--videos", type=int, default=40)
    parser.add_argument("--longest", type=float, default=6.0, help="seconds between two kills")
    asked = parser.parse_args()
    moments, killed, finished = random.Random(0), 0, list[Path]()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        films(folder, asked.videos)
        assert start(folder, folder / "serial", []).wait() == 0
        expected = rows(folder / "serial")
        cluster = Cluster() if asked.way.startswith("ray") else None
        how = ["--workers", "2"] if cluster is None else ["--ray", Cluster.ADDRESS]
        try:
            while killed < asked.kills:
                place = folder / f"gallery-{len(finished)}"
                running = start(folder, place, how)
                while not ended(running, moments.uniform(0.5, asked.longest)):
                    killed += killed < asked.kills and kill(asked.way, running, cluster)
                if running.returncode == 0:
                    finished.append(place)
            while running.returncode != 0:
                running = start(folder, place, how)
                running.wait()
            finished.append(place)
        finally:
            if cluster is not None:
                cluster.stop()
        differ = [place for place in set(finished) if rows(place) != expected]
        print(ROW.format("what", "measured", "bound", ""))
        print(ROW.format(f"{asked.way} killed", killed, "", ""))
        print(ROW.format("galleries filled", len(set(finished)), "", ""))
        print(ROW.format("rows in each", len(expected), "", ""))
        verdict = "not ok" if differ else "ok"
        print(ROW.format("galleries other than the serial one", len(differ), 0, verdict))


def start(folder: Path, place: Path, how: list[str]) -> subprocess.Popen[bytes]:
    words = ["ingest", "--files-from", folder / "videos.txt", "--gallery", place]
    words += ["--camera-from", "{camera}_{start}.avi", "--model", "stripes"]
    words += ["--detector", "bench_ingest_workers:find", *how]
    program = [sys.executable, "-c", COMMAND, "--quiet", *map(str, words)]
    return subprocess.Popen(
        program, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def environment() -> dict[str, str]:
    paths = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    ray = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "token"}
    return os.environ | ray | {"PYTHONPATH": os.pathsep.join(paths)}


def ended(running: subprocess.Popen[bytes], within: float) -> bool:
    try:
        running.wait(within)
    except subprocess.TimeoutExpired:
        return False
    return True


def kill(way: str, running: subprocess.Popen[bytes], cluster: "Cluster | None") -> bool:
    """Kill one; False where there is none at the moment."""
    if way in ("driver", "ray-driver"):
        running.kill()
        return True
    if way == "ray-node":
        assert cluster is not None
        return cluster.kill_second()
    parent, name = (running.pid, "spawn_main") if way == "worker" else (None, "ray::_alone")
    found = processes(name, parent)
    if found:
        os.kill(random.choice(found), signal.SIGKILL)
    return bool(found)


def processes(name: str, parent: int | None) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().decode(errors="replace")
            above = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        ours = parent in (None, above) and str(folder) != f"/proc/{os.getpid()}"
        if name in words and ours:
            found.append(int(folder.name))
    return found


class Cluster:
    """Two nodes on this machine, a processor each."""

    ADDRESS = "127.0.0.1:6390"

    def __init__(self) -> None:
        self._head = self._start("--head", "--port", "6390", "--include-dashboard", "false")
        time.sleep(15)
        self._second = self._start("--address", self.ADDRESS)
        time.sleep(10)

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        code = "from ray.scripts.scripts import main; main()"
        program = [sys.executable, "-c", code, "start", "--num-cpus", "1", "--block", *words]
        return subprocess.Popen(
            program,
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def kill_second(self) -> bool:
        """Kill all of the second node at once, and start it again."""
        os.killpg(self._second.pid, signal.SIGKILL)
        self._second.wait()
        self._second = self._start("--address", self.ADDRESS)
        return True

    def stop(self) -> None:
        for node in (self._second, self._head):
            os.killpg(node.pid, signal.SIGKILL)
            node.wait()


def rows(place: Path) -> list[tuple[object, ...]]:
    """All that a gallery holds of each tracklet but when it was added."""
    gallery = Gallery.open(place)
    entries = gallery.entries()
    strips = gallery.thumbnails([entry.id for entry in entries])
    found = gallery.embeddings("stripes")
    every = zip(found["id"].to_pylist(), matrix(found[VECTOR]), strict=True)
    vectors = [(id, vector.tobytes()) for id, vector in every]
    seen = [
        (entry.id, entry.camera, entry.start, entry.end, entry.frames, strips[entry.id])
        for entry in entries
    ]
    return [*sorted(seen), *sorted(vectors)]


if __name__ == "__main__":
    main()
