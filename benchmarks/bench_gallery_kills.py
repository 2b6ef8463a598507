"""Whether a gallery keeps what it acknowledged while its writers are killed, again and again.

Run as `python benchmarks/bench_gallery_kills.py [--kills N]`. Two processes at a time add the same
tracklets in small batches, merging files and indexing in between, until both are killed at a
random moment with SIGKILL. Then every acknowledged tracklet must be there and none twice.
"""

import argparse
import multiprocessing
import os
import random
import tempfile
import time
from collections import Counter
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np

from reseen.gallery import table
from reseen.gallery.gallery import Gallery
from reseen.gallery.records import NewTracklets

BATCH, DIMENSIONS = 20, 32
LONGEST_LIFE = 0.6
"""Seconds that writers live at most after the first acknowledged batch."""

ROW = "{:48} {:>9} {:>7}  {}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    kills = parser.parse_args().kills
    # Writers are forked from a process that never opened a gallery, so there is nothing to warn of.
    os.environ["PYTHONWARNINGS"] = "ignore:lancedb fork support:RuntimeWarning"
    with tempfile.TemporaryDirectory() as folder:
        place, journal = Path(folder) / "gallery", Path(folder) / "acknowledged"
        journal.touch()
        moments = random.Random(0)
        for _ in range(kills // 2):
            live_and_die(place, journal, moments.uniform(0, LONGEST_LIFE))
        acknowledged = set(journal.read_text().split())
        opened = Gallery.open(place)
        present = Counter(entry.id for entry in opened.entries())
        embeddings = Counter(entry.id for entry in opened.entries(model="net"))
    print(ROW.format("what", "measured", "bound", ""))
    print(ROW.format("writers killed", kills // 2 * 2, "", ""))
    print(ROW.format("tracklets acknowledged", len(acknowledged), "", ""))
    row("acknowledged and lost", len(acknowledged - (present.keys() & embeddings.keys())))
    row(
        "there more than once",
        (present - Counter({*present}) + embeddings - Counter({*embeddings})).total(),
    )


def row(what: str, measured: int) -> None:
    print(ROW.format(what, measured, 0, "not ok" if measured else "ok"))


def live_and_die(place: Path, journal: Path, life: float) -> None:
    begun = len(journal.read_text().split())
    writers = [start_writer(place, journal, begun) for _ in range(2)]
    while len(journal.read_text().split()) == begun:
        if not all(writer.is_alive() for writer in writers):
            raise RuntimeError("a writer ended by itself; see above")
        time.sleep(0.005)
    time.sleep(life)
    for writer in writers:
        writer.kill()
        writer.join()


def start_writer(place: Path, journal: Path, first: int) -> BaseProcess:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["reseen.gallery.gallery"])
    writer = context.Process(target=write, args=(place, journal, first))
    writer.start()
    return writer


def write(place: Path, journal: Path, first: int) -> None:
    table.FRAGMENTS_BEFORE_UPKEEP, table.EXACT_UP_TO = 8, 1_000
    gallery = Gallery.open(place, create=True)
    acknowledged = os.open(journal, os.O_WRONLY | os.O_APPEND)
    while True:
        ids = [f"t{number:07d}" for number in range(first, first + BATCH)]
        gallery.add_embedded(*embedded(ids))
        os.write(acknowledged, " ".join(["", *ids]).encode())
        gallery.optimise()
        first += BATCH


def embedded(ids: list[str]) -> tuple[NewTracklets, dict[str, np.ndarray]]:
    """Tracklets whose ids end with a number of six digits."""
    count = len(ids)
    features = np.random.default_rng(int(ids[0][-6:])).normal(size=(count, DIMENSIONS))
    tracklets = NewTracklets(
        ids=ids,
        cameras=["north"] * count,
        sources=["film"] * count,
        starts=[0.0] * count,
        ends=[1.0] * count,
        frames=[8] * count,
        thumbnails=[os.urandom(3_000) for _ in ids],
        digests=[f"digest of {id}" for id in ids],
    )
    return tracklets, {"net": features.astype(np.float32)}


if __name__ == "__main__":
    main()
