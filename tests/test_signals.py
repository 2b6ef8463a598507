"""Work that a signal stops ends as Ctrl-C would end it, and the same command goes on with it."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np
import pytest

from reseen.cli import run
from reseen.data.store import FrameStore
from reseen.files import write_json
from reseen.gallery.gallery import Gallery

STEP = re.compile(rb" [1-9][\d,]*/(\d|\?)")
"""What a bar shows as soon as the first units of some work are done."""


def stopped(number: signal.Signals, *words: object) -> int:
    """Start a command before a terminal, stop it when its bar moves; returns the exit code."""
    ours, theirs = pty.openpty()
    program = [sys.executable, "-m", "reseen", *map(str, words)]
    with subprocess.Popen(
        program,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "120"},
    ) as process:
        os.close(theirs)
        shown = b""
        while not STEP.search(re.sub(rb"\x1b\[[\d;?]*[a-zA-Z]", b"", shown)):
            more = told(ours)
            assert more, f"it ended before that: {shown.decode()}"
            shown += more
        process.send_signal(number)
        while more := told(ours):
            shown += more
        os.close(ours)
        code = process.wait()
    assert b"Traceback" not in shown, shown.decode()
    assert b"reseen: stopped." in shown, shown.decode()
    return code


def told(terminal: int) -> bytes:
    """What is written to a terminal next; nothing when everybody has left it."""
    try:
        return os.read(terminal, 4096)
    except OSError:  # Linux: nobody is there any more
        return b""


def finished(*words: object) -> None:
    assert run([str(word) for word in words]) == 0


def digests(folder: Path, pattern: str) -> dict[str, str]:
    files = [path for path in folder.rglob(pattern) if path.is_file()]
    assert files
    return {str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest() for path in files}


def write_noise(folder: Path, seed: int, pictures: int, size: tuple[int, int] = (64, 32)) -> None:
    folder.mkdir(parents=True)
    random = np.random.default_rng(seed)
    for frame in range(pictures):
        picture = random.integers(0, 256, (*size, 3), np.uint8)
        assert cv2.imwrite(str(folder / f"{frame:04}.jpg"), picture)


@pytest.fixture(autouse=True)
def hangups_count():
    """Programs inherit what is ignored, so that these tests would fail under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGHUP", 129)])
def test_the_exit_code_names_the_signal_wherever_it_comes(tmp_path, name, code):
    program = f"""
import os, signal
from reseen import cli
def run(_):
    try:
        exec("os.kill(os.getpid(), signal.{name})")
    except KeyboardInterrupt:
        return 130
cli.run = run
cli.main()
"""
    (tmp_path / "program.py").write_text(program)
    command = [sys.executable, "-m", "program"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (code, b"")


@pytest.mark.usefixtures("quick_workers")
def test_a_stopped_preparation_goes_on_to_the_same_store(tmp_path):
    for place in range(40):
        write_noise(tmp_path / "people" / f"{place // 2}" / "ab"[place % 2], place, 40)
    prepare = ["prepare", "folder", tmp_path / "people", "--out"]

    assert stopped(signal.SIGTERM, *prepare, tmp_path / "stopped") == 143
    finished(*prepare, tmp_path / "stopped")

    finished(*prepare, tmp_path / "whole")
    stores = [FrameStore(tmp_path / name) for name in ("stopped", "whole")]
    assert stores[0].names == stores[1].names
    assert stores[0].fingerprint == stores[1].fingerprint
    assert digests(stores[0].path, "*") == digests(stores[1].path, "*")


def test_a_stopped_training_goes_on_to_the_same_weights(make_store, tmp_path):
    store = make_store([(person, camera, 16) for person in (1, 2, 3, 4) for camera in (1, 2)])
    train = ["train", store.path, "--updates", 90, "--clips.frames", 4, "--resume", "--out"]

    for number, code in ((signal.SIGTERM, 143), (signal.SIGHUP, 129)):
        assert stopped(number, *train, tmp_path / "stopped") == code
        assert not list((tmp_path / "stopped").rglob("weights.safetensors"))
    finished(*train, tmp_path / "stopped")

    finished(*train, tmp_path / "whole")
    for pattern in ("weights.safetensors", "log.csv"):
        ends = [digests(tmp_path / name, pattern) for name in ("stopped", "whole")]
        assert ends[0] == ends[1]


def test_stopped_tracking_can_be_started_again(tmp_path):
    write_noise(tmp_path / "film", 0, 400, (240, 320))
    boxes = [f"{frame},1,{40 + frame % 80},60,60,120,1,1,1" for frame in range(1, 401)]
    (tmp_path / "boxes.txt").write_text("\n".join(boxes))
    track = ["track", tmp_path / "film", "--camera", "a", "--boxes", tmp_path / "boxes.txt"]

    assert stopped(signal.SIGTERM, *track, "--out", tmp_path / "stopped") == 143
    assert not (tmp_path / "stopped" / "tracklets.json").exists()
    finished(*track, "--out", tmp_path / "stopped")

    finished(*track, "--out", tmp_path / "whole")
    assert digests(tmp_path / "stopped", "*.jpg") == digests(tmp_path / "whole", "*.jpg")
    documents = [json.loads((tmp_path / name / "tracklets.json").read_text())["tracklets"]
                 for name in ("stopped", "whole")]  # fmt: skip
    assert documents[0] == documents[1] != []


def test_a_stopped_add_goes_on_to_the_same_gallery(tmp_path):
    rows = []
    for number in range(160):
        write_noise(tmp_path / "hall" / f"hall-{number}", number, 1)
        rows.append({"id": f"hall-{number}", "camera": "hall", "source": "hall.mp4", "crops": 1,
                     "start_seconds": number, "end_seconds": number + 2,
                     "first_frame": 1, "last_frame": 3})  # fmt: skip
    document = {"source": "hall.mp4", "camera": "hall", "start": None, "counts": {}}
    write_json(tmp_path / "hall" / "tracklets.json", document | {"tracklets": rows})

    add = ["gallery", "add", tmp_path / "stopped", tmp_path / "hall"]
    assert stopped(signal.SIGTERM, *add) == 143
    assert 0 < Gallery.open(tmp_path / "stopped").count(model="stripes") < 160
    finished(*add)

    finished("gallery", "add", tmp_path / "whole", tmp_path / "hall")
    listed = []
    for name in ("stopped", "whole"):
        gallery = Gallery.open(tmp_path / name)
        listed.append({entry.id: entry.start for entry in gallery.entries(model="stripes")})
        nearest = gallery.search(gallery.query("hall-7", "stripes"), 20)
        listed[-1] |= {match.entry.id: match.distance for match in nearest}
    assert listed[0] == listed[1]
    assert len(listed[0]) == 160


@pytest.mark.usefixtures("quick_workers")
def test_a_stopped_reproduction_goes_on_to_the_same_report(make_store, tmp_path):
    people = [(person, camera, 18) for person in range(1, 9) for camera in (1, 2)]
    store = make_store(people, trained={1, 2, 3, 4, 5})
    reproduce = ["reproduce", store.path, "--no-variants", "--trials", 1, "--part", "full",
                 "--preset", "quick", "--updates", 20, "--train.pairs", 2,
                 "--clips.frames", 4, "--evaluation.augmentations", 1, "--out"]  # fmt: skip

    assert stopped(signal.SIGTERM, *reproduce, tmp_path / "stopped") == 143
    assert not (tmp_path / "stopped" / "report.json").exists()
    finished(*reproduce, tmp_path / "stopped")

    finished(*reproduce, tmp_path / "whole")
    reports = [(tmp_path / name / "report.json").read_text() for name in ("stopped", "whole")]
    assert reports[0] == reports[1]


def test_a_program_under_nohup_outlives_its_terminal(tmp_path):
    code = (
        "import os, signal, reseen.cli\n"
        "reseen.cli.run = lambda _: (os.kill(os.getpid(), signal.SIGHUP), 0)[1]\n"
        "reseen.cli.main()\n"
    )
    done = subprocess.run(
        ["nohup", sys.executable, "-c", code], stdin=subprocess.DEVNULL, capture_output=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_counts_where_interrupts_are_ignored(number, code):
    program = (
        "import os, signal, reseen.cli\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        f"reseen.cli.version = lambda: os.kill(os.getpid(), {int(number)})\n"
        "reseen.cli.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "presets", "--verbose"], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (code, "reseen: stopped.\n")


@pytest.mark.parametrize("place", ["require_unicode", "_messages"])
def test_a_signal_before_the_command_has_begun_is_one_line(place):
    program = (
        "import os, reseen.cli\n"
        f"reseen.cli.{place} = lambda *_: os.kill(os.getpid(), {int(signal.SIGTERM)})\n"
        "reseen.cli.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "presets"], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (143, "reseen: stopped.\n")
