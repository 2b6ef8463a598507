"""Whether `watch` keeps up with live cameras, and what it survives.

Run as `python benchmarks/bench_watch.py [--seconds N] [--kills N] [--cameras N]`. The cameras are
RTSP streams on loopback, or in a network namespace where that may be made, of a video that is
played again and again. They come from GStreamer's RTSP server (Debian: gir1.2-gst-rtsp-server-1.0,
python3-gi, gstreamer1.0-plugins-good and -bad), since Debian 12 has no livemedia-utils; ffmpeg
makes the video long. Without these it says so and ends.

Three parts: so many seconds of watching, then cameras that are killed and a network that is cut,
then kills of `watch` itself at random moments.
"""

import argparse
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from reseen.gallery.gallery import Gallery
from reseen.gallery.settings import base_of, version_of
from reseen.service.state import CameraState, camera_states

DATA = Path(__file__).resolve().parents[2] / "shared/data"
VIDEO, DETECTOR = DATA / "one-by-one-person-detection.mp4", DATA / "models/yolox_nano.onnx"
FPS, PORT, HEALTH = 5, 8554, "127.0.0.1:9464"
NAMESPACE, INSIDE, OUTSIDE = "reseen-cameras", "10.213.77.2", "10.213.77.1"

SERVER = """
import sys, gi
gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer
Gst.init(None)
film, host, port, count = sys.argv[1:]
server = GstRtspServer.RTSPServer(service=port, address=host)
for number in range(int(count)):
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(
        f"( filesrc location={film} ! qtdemux ! h264parse ! rtph264pay name=pay0 pt=96 )")
    server.get_mount_points().add_factory(f"/{number}", factory)
server.attach(None)
print("ready", flush=True)
GLib.MainLoop().run()
"""

ROW = "{:66} {:>10} {:>8}  {}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--cameras", type=int, default=4)
    asked = parser.parse_args()
    if missing := lacking():
        print(f"not run: {missing}")
        return
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores at the beginning")
    print(ROW.format("what", "measured", "bound", ""))
    with tempfile.TemporaryDirectory() as name, network() as host, told(Path(name)) as folder:
        film = long_film(folder, asked.seconds + 600)
        (folder / "cameras.toml").write_text(settings(host, asked.cameras))
        with serving(film, host, asked.cameras):
            if asked.seconds:
                keeps_up(folder, asked.seconds, asked.cameras)
        lost_and_found(folder, film, host, asked.cameras)
        with serving(film, host, asked.cameras):
            survives(folder, asked.kills)
    print(f"load average {os.getloadavg()[0]:.1f} at the end")


@contextmanager
def told(folder: Path) -> Iterator[Path]:
    """Show what `watch` said, however it ends."""
    try:
        yield folder
    finally:
        print((folder / "log.txt").read_text())


def lacking() -> str | None:
    """What is not here and would be needed."""
    for file in (VIDEO, DETECTOR):
        if not file.exists():
            return f"{file} is not here"
    if shutil.which("ffmpeg") is None:
        return "there is no ffmpeg (apt-get install ffmpeg)"
    code = "import gi; gi.require_version('GstRtspServer', '1.0')"
    if subprocess.run(["/usr/bin/python3", "-c", code], capture_output=True).returncode:
        return "there is no GStreamer RTSP server for Python (gir1.2-gst-rtsp-server-1.0)"
    return None


def row(what: str, measured: float, bound: float | None = None) -> None:
    verdict = "" if bound is None else "ok" if measured <= bound else "not ok"
    shown = "" if bound is None else f"{bound:,g}"
    print(ROW.format(what, f"{measured:,.4g}", shown, verdict), flush=True)


def settings(host: str, count: int) -> str:
    cameras = (
        f'[[camera]]\nname = "c{number}"\nsource = "rtsp://{host}:{PORT}/{number}"\nfps = {FPS}\n'
        for number in range(count)
    )
    return f'gallery = "people"\ndetector = "{DETECTOR}"\n' + "".join(cameras)


def long_film(folder: Path, seconds: float) -> Path:
    """The video, played again and again, in one file."""
    film = folder / "film.mp4"
    times = str(int(seconds / 139) + 1)
    words = ["-stream_loop", times, "-i", str(VIDEO), "-c", "copy", "-an", str(film)]
    subprocess.run(["ffmpeg", "-v", "error", "-y", *words], check=True)
    return film


def ip(*words: str) -> bool:
    with suppress(FileNotFoundError):
        return subprocess.run(["ip", *words], capture_output=True).returncode == 0
    return False


@contextmanager
def network() -> Iterator[str]:
    """A network of two for the cameras, where that is allowed; loopback elsewhere."""
    if not ip("netns", "add", NAMESPACE):
        print("note: no network namespace may be made here; the server is stopped instead")
        yield "127.0.0.1"
        return
    try:
        ip("link", "add", "reseen0", "type", "veth", "peer", "name", "reseen1", "netns", NAMESPACE)
        ip("addr", "add", f"{OUTSIDE}/30", "dev", "reseen0")
        ip("link", "set", "reseen0", "up")
        ip("-n", NAMESPACE, "addr", "add", f"{INSIDE}/30", "dev", "reseen1")
        ip("-n", NAMESPACE, "link", "set", "reseen1", "up")
        yield INSIDE
    finally:
        ip("netns", "del", NAMESPACE)


@contextmanager
def serving(film: Path, host: str, count: int) -> Iterator["subprocess.Popen[str]"]:
    """The cameras."""
    words = ["/usr/bin/python3", "-c", SERVER, str(film), host, str(PORT), str(count)]
    inside = ["ip", "netns", "exec", NAMESPACE] if host == INSIDE else []
    server = subprocess.Popen([*inside, *words], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
        yield server
    finally:
        server.kill()
        server.wait()


def start(folder: Path) -> "subprocess.Popen[bytes]":
    words = ["watch", str(folder / "cameras.toml"), "--health", HEALTH]
    with (folder / "log.txt").open("ab") as log:
        return subprocess.Popen([sys.executable, "-m", "reseen", *words], stderr=log)


def states(folder: Path) -> list[CameraState]:
    return camera_states(folder / "people")


def seconds_until(true: Callable[[], bool], most: float) -> float:
    begun = time.monotonic()
    while not true():
        if time.monotonic() - begun > most:
            return float("inf")
        time.sleep(0.2)
    return time.monotonic() - begun


def all_are(folder: Path, *words: str) -> Callable[[], bool]:
    begun = time.time()

    def true() -> bool:
        found = states(folder)
        fresh = all(each.last_frame and each.last_frame > begun for each in found)
        return (
            bool(found)
            and all(each.state in words for each in found)
            and (fresh or "running" not in words)
        )

    return true


def resident(pid: int) -> float:
    """Megabytes of a process and those it has started, shared pages shared out."""
    total = 0
    for each in [pid, *descendants(pid)]:
        with suppress(OSError):
            text = Path(f"/proc/{each}/smaps_rollup").read_text()
            total += int(re.search(r"^Pss:\s+(\d+)", text, re.MULTILINE)[1])
    return total / 1024


def descendants(pid: int) -> list[int]:
    children: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            children += map(int, (task / "children").read_text().split())
    return [*children, *(far for child in children for far in descendants(child))]


def keeps_up(folder: Path, seconds: float, cameras: int) -> None:
    """Watch for a while: frames, memory, delays and a clean end."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    watching = start(folder)
    row("seconds until all cameras run", seconds_until(all_are(folder, "running"), 120))
    first, begun = states(folder), time.monotonic()
    memory = []
    while time.monotonic() - begun < seconds:
        time.sleep(min(10, seconds / 20))
        memory.append(resident(watching.pid))
    last, took = states(folder), time.monotonic() - begun
    watching.send_signal(signal.SIGTERM)
    ending = time.monotonic()
    code = watching.wait()
    row("seconds from SIGTERM to the end", time.monotonic() - ending, 10)
    row("exit code", code)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    frames = sum(one.frames - other.frames for one, other in zip(last, first, strict=True))
    skipped = sum(one.skipped - other.skipped for one, other in zip(last, first, strict=True))
    row("frames a second and camera", frames / took / cameras)
    row("share of the wanted frames that was skipped", skipped / max(frames + skipped, 1), 0.01)
    row("cores used (CPU seconds a second, starting included)", used / took)
    settled = memory[len(memory) // 5 :]
    half = len(settled) // 2
    early, late = (sum(part) / len(part) for part in (settled[:half], settled[half:]))
    row("megabytes resident, all processes", late)
    row("growth from the first half to the second (share)", late / early - 1, 0.05)
    entries = Gallery.open(folder / "people", create=True).entries()
    delays = sorted(each.added - each.end for each in entries)
    row("tracklets added", len(delays))
    row("seconds from leaving to searchable, median", delays[len(delays) // 2])
    row("seconds from leaving to searchable, 95th percentile", delays[len(delays) * 95 // 100], 5)
    row("seconds from leaving to searchable, longest", delays[-1])


def lost_and_found(folder: Path, film: Path, host: str, count: int) -> None:
    """Cameras that are killed and come back, and a network that is cut."""
    with serving(film, host, count):
        watching = start(folder)
        seconds_until(all_are(folder, "running"), 120)
    noticed = seconds_until(all_are(folder, "stalled"), 60)
    row("seconds until killed cameras are noticed", noticed, 10)
    with serving(film, host, count) as server:
        back = seconds_until(all_are(folder, "running"), 120)
        row("seconds until all run again", back, 75)
        cut(host, server, True)
        noticed = seconds_until(all_are(folder, "stalled"), 60)
        row("seconds until a cut network is noticed", noticed, 10)
        time.sleep(30)
        cut(host, server, False)
        row("seconds until all run again", seconds_until(all_are(folder, "running"), 120), 75)
        victim = descendants(watching.pid)[-1]
        os.kill(victim, signal.SIGKILL)
        restarted = seconds_until(lambda: sum(each.restarts for each in states(folder)) > 0, 30)
        row("seconds until a killed process is noticed", restarted, 10)
        row("seconds until all run again", seconds_until(all_are(folder, "running"), 60), 60)
        watching.send_signal(signal.SIGTERM)
        row("exit code after SIGTERM", watching.wait())


def cut(host: str, server: "subprocess.Popen[str]", away: bool) -> None:
    if host == INSIDE:
        ip("link", "set", "reseen0", "down" if away else "up")
    else:
        server.send_signal(signal.SIGSTOP if away else signal.SIGCONT)


def survives(folder: Path, kills: int) -> None:
    """Kill `watch` at random moments; what was in the gallery stays there, once."""
    seen: set[str] = set()
    for _ in range(kills):
        watching = start(folder)
        seconds_until(all_are(folder, "running"), 120)
        time.sleep(random.uniform(0, 15))
        seen |= {entry.id for entry in Gallery.open(folder / "people", create=True).entries()}
        watching.kill()
        watching.wait()
    time.sleep(10)  # the cameras' processes add whoever is in the picture
    gallery = Gallery.open(folder / "people", create=True)
    ids = [entry.id for entry in gallery.entries()]
    row(f"tracklets gone after {kills} kills, of {len(seen)}", len(seen - set(ids)), 0)
    row("tracklets twice", len(ids) - len(set(ids)), 0)
    spans = [(each.camera, each.start, each.end) for each in gallery.entries()]
    doubled = len(spans) - len(set(spans))
    row("tracklets with the camera and times of another", doubled, 0)
    newest = {base_of(model): model for model in sorted(gallery.models(), key=version_of)}
    for model in newest.values():  # an adaptation that was followed by another takes nobody in
        row(f"tracklets without an embedding by {model}", len(set(ids) - gallery.ids(model)), 0)
    which = ["pgrep", "-f", f"watch {folder}"]
    left = subprocess.run(which, capture_output=True, text=True).stdout
    row("processes left behind", len(left.split()), 0)


if __name__ == "__main__":
    main()
