"""Whether every verb that writes ends the same, however it was disturbed.

Run as `python benchmarks/soak.py [--rounds N] [--seed S] [VERB ...]`. Each verb is first run once,
undisturbed. Then, in each round, it is stopped at a random moment by SIGTERM, SIGHUP or SIGKILL and
started again until it ends; and two processes run it at once, of which one may be refused. Each
time the result must be the undisturbed one, record for record.
"""

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np

from reseen.gallery.gallery import Gallery

SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGKILL)
ENDS = {0, 2, 143, 129, -signal.SIGKILL}
"""Done, refused because another one writes, or stopped."""

STARTS = 4
"""How often a stopped command is started again before it is said to never end."""


@dataclass(frozen=True)
class Verb:
    """A command that writes.

    Attributes:
        words: the command; PLACE stands for what it writes.
        result: what is compared.
        before: what the place holds before the command; None for nothing.
    """

    name: str
    words: Sequence[object]
    result: Callable[[Path], object]
    before: Path | None = None


def start(words: Sequence[object], place: Path) -> subprocess.Popen[str]:
    command = [str(place if word == "PLACE" else word) for word in words]
    return subprocess.Popen(
        [sys.executable, "-m", "reseen", *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> int:
    """The exit code, after a check that it is one of the known ends."""
    said = process.communicate(timeout=600)[1]
    if process.returncode not in ENDS or "Traceback" in said:
        raise AssertionError(f"exit code {process.returncode}: {said[-2000:]}")
    return process.returncode


def run(words: Sequence[object], place: Path) -> None:
    """Run a command until it is done: one that was killed may have left something to go on with."""
    codes = list[int]()
    while not codes or (codes[-1] and len(codes) < STARTS):
        codes.append(finish(start(words, place)))
    if codes[-1]:
        raise AssertionError(f"never done; exit codes {codes}")


def files(pattern: str) -> Callable[[Path], object]:
    """Digests of the files in a folder."""

    def result(place: Path) -> object:
        found = [path for path in place.rglob(pattern) if path.is_file()]
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
    vectors = sorted(
        (model, id, tuple(np.asarray(vector)))
        for model in opened.models()
        for batch in opened.embeddings(model)
        for id, vector in zip(batch["id"].to_pylist(), batch["vector"].to_pylist(), strict=True)
    )
    homes: dict[str, set[str]] = {}
    for member in opened.members.all():
        homes.setdefault(member.identity, set()).add(member.id)
    calibrated = [each.model for each in opened.settings.calibrations()]
    return entries, vectors, sorted(map(sorted, homes.values())), calibrated


def draw(folder: Path, seed: int, pictures: int, size: tuple[int, int]) -> None:
    folder.mkdir(parents=True)
    noise = np.random.default_rng(seed)
    base = noise.integers(0, 256, (1, 1, 3), np.uint8)
    for frame in range(pictures):
        picture = noise.integers(0, 60, (*size, 3), np.uint8) // 2 + base // 2
        cv2.imwrite(str(folder / f"{frame:04}.jpg"), picture)


def verbs(place: Path) -> list[Verb]:
    """Every verb, with small inputs made in the folder `place`."""
    people, film, boxes = place / "people", place / "film", place / "boxes.txt"
    for number in range(40):
        draw(people / f"{number // 2:02}" / "ab"[number % 2], number // 2, 10, (64, 32))
    draw(film, 0, 200, (240, 320))
    lines = [f"{frame},1,{40 + frame % 80},60,60,120,1,1,1" for frame in range(1, 201)]
    boxes.write_text("\n".join(lines))
    store, filled, calibrated = place / "store", place / "filled", place / "calibrated"
    run(["prepare", "folder", people, "--out", "PLACE"], store)
    add = ["gallery", "add", "PLACE", people, "--model", "stripes"]
    run(add, filled)
    shutil.copytree(filled, calibrated)
    calibrate = ["calibrate", "PLACE", "--model", "stripes", "--root", people]
    run(calibrate, calibrated)
    train = ["train", store, "--updates", "30", "--clips.frames", "4", "--resume", "--out", "PLACE"]
    track = ["track", film, "--camera", "a", "--boxes", boxes, "--out", "PLACE"]
    return [
        Verb("prepare", ["prepare", "folder", people, "--out", "PLACE"], files("*.[nj][ps]*")),
        Verb("train", train, files("[wl]*[sv]")),
        Verb("track", track, tracked),
        Verb("add", add, gallery),
        Verb("forget", ["gallery", "forget", "PLACE", "--camera", "a", "--now"], gallery, filled),
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
    process.send_signal(number)
    if finish(process):
        again(verb, place)


def pair(verb: Verb, place: Path) -> None:
    """Run the verb twice at once."""
    codes = [finish(process) for process in [start(verb.words, place) for _ in range(2)]]
    if 0 not in codes:
        raise AssertionError(f"neither of two was done: {codes}")


def again(verb: Verb, place: Path) -> None:
    """Start a stopped verb again; a forgetting that was done already has nobody to forget."""
    try:
        run(verb.words, place)
    except AssertionError:
        if verb.name != "forget":
            raise


def soak(verb: Verb, place: Path, rounds: int, chance: random.Random) -> list[str]:
    """Disturb the verb so many times in each way; what went wrong, a line each."""
    began = time.monotonic()
    run(verb.words, begin(verb, place / "whole"))
    lasts, wanted, wrong = time.monotonic() - began, verb.result(place / "whole"), []
    for number in range(rounds):
        moment, kind = chance.uniform(0.3, 1) * lasts, SIGNALS[number % len(SIGNALS)]
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
