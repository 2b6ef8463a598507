"""Whether every verb that writes ends the same, however it was disturbed.

Run as `python benchmarks/soak.py [--rounds N] [--seed S] [VERB ...]`. Each verb is first run once,
undisturbed. Then, in each round, it is stopped at a random moment by SIGTERM, SIGHUP or SIGKILL and
started again until it ends; and two processes run it at once, of which one may be refused. Each
time the result must be the undisturbed one, record for record. Processes are forked from one that
has loaded the libraries, so that what is disturbed is the work, and a round is cheap.
"""

import argparse
import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from multiprocessing.process import BaseProcess
from pathlib import Path

import cv2
import numpy as np

from reseen.cli import main as reseen
from reseen.gallery.gallery import Gallery
from reseen.tracking.detections import Detections

CONTEXT = multiprocessing.get_context("forkserver")
LOADED = ["reseen.experiments.reproduce", "reseen.service.ingest", "reseen.network.export"]
LOADED += ["reseen.gallery.adapting", "reseen.gallery.identities", "onnxscript", "onnxruntime"]

SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGKILL)
ENDS = {0, 2, 143, 129, *(-number for number in SIGNALS)}
"""Done, refused because another one writes, or stopped, maybe before the command began."""

LONGEST = 300.0
STARTS = 4
"""How often a stopped command is started again before it is said to never end."""


@dataclass(frozen=True)
class Verb:
    """A command that writes.

    Attributes:
        words: the command; PLACE stands for what it writes.
        result: what is compared.
        before: what the place holds before the command; None for nothing.
        repeats: whether it may be given again after it was done, or has nothing left to do then.
    """

    name: str
    words: Sequence[object]
    result: Callable[[Path], object]
    before: Path | None = None
    repeats: bool = True


def command(words: Sequence[str], said: Path) -> None:
    """Be the command, with all that it says in a file."""
    file = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    sys.argv = ["reseen", *words]
    reseen()


def start(words: Sequence[object], place: Path) -> BaseProcess:
    told = [str(word).replace("PLACE", str(place)) for word in words]
    said(place).touch()
    process = CONTEXT.Process(target=command, args=(told, said(place)))
    process.start()
    return process


def said(place: Path) -> Path:
    return place.with_name(place.name + " said")


def finish(process: BaseProcess, place: Path) -> int:
    """The exit code, after a check that it is one of the known ends."""
    process.join(LONGEST)
    text = said(place).read_text()
    if process.exitcode not in ENDS or "Traceback" in text:
        process.kill()
        raise AssertionError(f"exit code {process.exitcode}: {text[-2000:]}")
    return process.exitcode


def run(words: Sequence[object], place: Path) -> None:
    """Run a command until it is done: one that was killed may have left something to go on with."""
    codes = list[int]()
    while not codes or (codes[-1] and len(codes) < STARTS):
        codes.append(finish(start(words, place), place))
    if codes[-1]:
        raise AssertionError(f"never done; exit codes {codes}")


def files(pattern: str) -> Callable[[Path], object]:
    """Digests of the files in a folder; a killed writer may leave a hidden one, never a half."""

    def result(place: Path) -> object:
        every = [path for path in place.rglob(pattern) if path.is_file()]
        found = [path for path in every if not path.name.startswith(".")]
        assert found
        return {
            str(path.relative_to(place)): sha256(path.read_bytes()).hexdigest() for path in found
        }

    return result


def tracked(place: Path) -> object:
    listed = json.loads((place / "tracklets.json").read_text())["tracklets"]
    return files("*.jpg")(place), listed, (place / "tracks.txt").read_text()


def gallery(place: Path) -> object:
    """Every tracklet and vector, labels, and who is put together with whom."""
    opened = Gallery.open(place)
    entries = [(each.id, each.camera, each.start, each.frames) for each in opened.entries()]
    vectors = {model: embedded(opened, model) for model in opened.models()}
    homes: dict[str, set[str]] = {}
    for member in opened.members.all():
        homes.setdefault(member.identity, set()).add(member.id)
    calibrated = [each.model for each in opened.settings.calibrations()]
    return entries, vectors, sorted(map(sorted, homes.values())), calibrated


def embedded(opened: Gallery, model: str) -> object:
    rows = opened.embeddings(model)
    every = zip(rows["id"].to_pylist(), rows["vector"].to_pylist(), strict=True)
    return sorted((id, tuple(vector)) for id, vector in every)


def ingested(place: Path) -> object:
    return gallery(place / "gallery"), files("*.jpg")(place / "crops")


def adapted(place: Path) -> object:
    """What is searched after an adaptation; who adapts after another makes one version more."""
    opened = Gallery.open(place)
    return embedded(opened, opened.model())


def moving(picture: cv2.typing.MatLike) -> Detections:
    """A detector that finds the one who walks through the film, a step in each picture."""
    left = float(picture[0, :, 0].argmax())
    return Detections.of([(left, 60, left + 60, 180)], [0.9])


def draw(folder: Path, seed: int, pictures: int, size: tuple[int, int]) -> None:
    folder.mkdir(parents=True)
    noise = np.random.default_rng(seed)
    base = noise.integers(0, 256, (1, 1, 3), np.uint8)
    for frame in range(pictures):
        picture = noise.integers(0, 60, (*size, 3), np.uint8) // 2 + base // 2
        cv2.imwrite(str(folder / f"{frame:04}.jpg"), picture)


def make_film(path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 128, (240, 320, 3), np.uint8)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (320, 240))
    for frame in range(120):
        picture = noise.copy()
        picture[:20, 40 + frame : 60 + frame] = 255
        writer.write(picture)
    writer.release()


def verbs(place: Path) -> list[Verb]:
    """Every verb that writes, with small inputs made in the folder `place`."""
    people, film, boxes = place / "people", place / "film.avi", place / "boxes.txt"
    for number in range(40):
        draw(people / f"{number // 2:02}" / "ab"[number % 2], number // 2, 10, (64, 32))
    make_film(film)
    lines = [f"{frame},1,{40 + frame % 80},60,60,120,1,1,1" for frame in range(1, 121)]
    boxes.write_text("\n".join(lines))
    store, run_folder = place / "store", place / "run"
    prepare = ["prepare", "folder", people, "--out", "PLACE"]
    add = ["gallery", "add", "PLACE", people, "--model", "stripes"]
    network = ["gallery", "add", "PLACE", people, "--model", "lite0"]
    calibrate = ["calibrate", "PLACE", "--model", "stripes", "--root", people]
    small = ["--updates", "30", "--clips.frames", "4"]
    train = ["train", store, *small, "--resume", "--out", "PLACE"]
    run(prepare, store)
    run(train, run_folder)
    filled, calibrated, by_network = place / "filled", place / "calibrated", place / "by_network"
    run(add, filled)
    shutil.copytree(filled, calibrated)
    run(calibrate, calibrated)
    run(network, by_network)
    tests, old = Path(__file__).parents[1] / "tests", place / "old" / "gallery"
    with tarfile.open(tests / "gallery" / "gallery-1.tar.xz") as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)  # from 3.11.4 on
        archive.extractall(old.parent)
    track = ["track", film, "--camera", "a", "--boxes", boxes, "--out", "PLACE"]
    ingest = ["ingest", film, "--gallery", "PLACE/gallery", "--camera", "a", "--model", "stripes"]
    ingest += ["--detector", "soak:moving", "--keep-crops", "PLACE/crops"]
    forget = ["gallery", "forget", "PLACE", "--camera", "a", "--now"]
    (place / "empty").mkdir()
    embed = ["embed", run_folder, store, "--out", "PLACE/e.parquet"]
    export = ["export", run_folder, "--out", "PLACE/network.onnx"]
    return [
        Verb("prepare", prepare, files("*.[nj][ps]*")),
        Verb("train", train, files("[wl]*[sv]")),
        Verb("embed", embed, files("*.parquet"), place / "empty"),
        Verb("export", export, files("*.onnx"), place / "empty"),
        Verb("track", track, tracked),
        Verb("ingest", ingest, ingested, place / "empty"),
        Verb("add", add, gallery),
        Verb("adapt", ["gallery", "adapt", "PLACE", "--model", "lite0"], adapted, by_network),
        Verb("upgrade", ["gallery", "upgrade", "PLACE"], gallery, old, repeats=False),
        Verb("forget", forget, gallery, filled, repeats=False),
        Verb("keep", ["gallery", "keep", "PLACE", "30000"], gallery, filled),
        Verb("calibrate", calibrate, gallery, filled),
        Verb("identify", ["identify", "PLACE"], gallery, calibrated),
    ]  # fmt: skip


def begin(verb: Verb, place: Path) -> Path:
    if verb.before is not None:
        shutil.copytree(verb.before, place)
    return place


def stop(verb: Verb, moment: float, number: signal.Signals, place: Path) -> None:
    """Stop the verb after so many seconds, and start it again to its end."""
    process = start(verb.words, place)
    time.sleep(moment)
    if process.is_alive():
        os.kill(process.pid or 0, number)
    if finish(process, place):
        again(verb, place)


def pair(verb: Verb, place: Path) -> None:
    """Run the verb twice at once."""
    both = [start(verb.words, place) for _ in range(2)]
    codes = [finish(process, place) for process in both]
    if 0 not in codes:
        raise AssertionError(f"neither of two was done: {codes}")


def again(verb: Verb, place: Path) -> None:
    """Start a stopped verb again; what was done already may have nothing left to do."""
    try:
        run(verb.words, place)
    except AssertionError:
        if verb.repeats:
            raise


def soak(verb: Verb, place: Path, rounds: int, chance: random.Random) -> list[str]:
    """Disturb the verb so many times in each way; what went wrong, a line each."""
    began = time.monotonic()
    run(verb.words, begin(verb, place / "whole"))
    lasts, wanted, wrong = time.monotonic() - began, verb.result(place / "whole"), []
    for number in range(rounds):
        moment, kind = chance.uniform(0, 1) * lasts, SIGNALS[number % len(SIGNALS)]
        disturbed: dict[str, Callable[[Path], None]] = {
            f"{kind.name} after {moment:.2f} s": partial(stop, verb, moment, kind),
            "two at once": partial(pair, verb),
        }
        for what, disturb in disturbed.items():
            at = begin(verb, place / f"{number} {what}")
            try:
                disturb(at)
                if verb.result(at) != wanted:
                    wrong.append(f"{what}: another result")
            except Exception as error:
                wrong.append(f"{what}: {type(error).__name__}: {error}")
            shutil.rmtree(at, ignore_errors=True)
    return wrong


def main() -> None:
    """Disturb every verb, or those named; end with 1 where one ended otherwise."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("verbs", nargs="*")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    CONTEXT.set_forkserver_preload(LOADED)
    os.environ["PYTHONWARNINGS"] = "ignore"  # LanceDB warns of forks, here before it was used
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # programs inherit what is ignored
    chance, failed = random.Random(options.seed), 0
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "made").mkdir()
        every = verbs(Path(folder) / "made")
        for verb in [one for one in every if not options.verbs or one.name in options.verbs]:
            (Path(folder) / verb.name).mkdir()
            wrong = soak(verb, Path(folder) / verb.name, options.rounds, chance)
            failed += len(wrong)
            done = f"{2 * options.rounds:4} disturbed  {len(wrong):3} ended otherwise"
            print(f"{verb.name:10} {done}", flush=True)
            for line in wrong:
                print(f"    {line}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
