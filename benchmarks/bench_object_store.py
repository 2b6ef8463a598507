"""Whether a gallery in an object store keeps what several machines write, forget and are killed at.

Run as `python benchmarks/bench_object_store.py s3://BUCKET/PREFIX [--kills N]`, with the store's
address and keys in the environment (docs/tasks/many-machines.md), for example against moto's server
on this machine. Writers have a lock file each, as if each had a machine of its own: nothing but the
store keeps them apart. They add overlapping tracklets and are killed at random moments with SIGKILL
while another process forgets and wipes. In the end every acknowledged tracklet that was not
forgotten must be there, none twice, and none that was forgotten.
"""

import argparse
import multiprocessing
import os
import random
import tempfile
import time
from collections import Counter
from pathlib import Path
from uuid import uuid4

from bench_gallery_kills import embedded

from reseen.gallery.gallery import Gallery
from reseen.gallery.records import Filter

BATCH, WRITERS = 10, 2
ROW = "{:52} {:>9} {:>7}  {}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--life", type=float, default=4.0, help="seconds of a writer at most")
    asked = parser.parse_args()
    uri, moments = f"{asked.store}/{uuid4().hex}", random.Random(0)
    with tempfile.TemporaryDirectory() as name:
        folder, killed, first = Path(name), 0, 0
        Gallery.open(uri, create=True, notes=folder / "main")
        journal, gone = folder / "acknowledged", folder / "forgotten"
        journal.touch()
        gone.touch()
        context = multiprocessing.get_context("spawn")
        forgetter = context.Process(target=forget, args=(uri, folder / "forgetter", gone, journal))
        forgetter.start()
        while killed < asked.kills:
            begun = len(journal.read_text().split())
            writers = [
                context.Process(target=write, args=(uri, folder / f"w{number}", journal, first))
                for number in range(WRITERS)
            ]
            for writer in writers:
                writer.start()
            while len(journal.read_text().split()) == begun:
                assert all(writer.is_alive() for writer in writers), "a writer ended by itself"
                time.sleep(0.01)
            time.sleep(moments.uniform(0, asked.life))
            for writer in writers:
                killed += writer.is_alive()
                assert writer.is_alive(), "a writer ended by itself"
                writer.kill()
                writer.join()
            first = len(set(journal.read_text().split()))
        assert forgetter.is_alive(), "who forgets ended by itself"
        (folder / "forgetter" / "stop").touch()
        forgetter.join()
        acknowledged, forgotten = (set(each.read_text().split()) for each in (journal, gone))
        opened = Gallery.open(uri, notes=folder / "reader")
        present = Counter(entry.id for entry in opened.entries())
        known = Counter(entry.id for entry in opened.entries(model="net"))
        problems = opened.check().problems
    print(ROW.format("what", "measured", "bound", ""))
    print(ROW.format("writers killed", killed, "", ""))
    print(ROW.format("tracklets acknowledged", len(acknowledged), "", ""))
    print(ROW.format("tracklets forgotten meanwhile", len(forgotten), "", ""))
    row("acknowledged and lost", len(acknowledged - forgotten - (present.keys() & known.keys())))
    row("there more than once", (present - Counter({*present})).total())
    row("embedded more than once", (known - Counter({*known})).total())
    row("forgotten and there", len(forgotten & (present.keys() | known.keys())))
    row("problems that check finds", len(problems))


def row(what: str, measured: int) -> None:
    print(ROW.format(what, measured, 0, "not ok" if measured else "ok"))


def write(uri: str, notes: Path, journal: Path, first: int) -> None:
    """Add tracklets, every other batch the same as the other writer's."""
    gallery = Gallery.open(uri, notes=notes, create=True)
    acknowledged = os.open(journal, os.O_WRONLY | os.O_APPEND)
    for number in range(first, first + 10_000, BATCH):
        own = notes.name if number // BATCH % 2 else "both"
        ids = [f"{own}-{each:06}" for each in range(number, number + BATCH)]
        gallery.add_embedded(*embedded(ids))
        os.write(acknowledged, " ".join(["", *ids]).encode())
        gallery.optimise()


def forget(uri: str, notes: Path, gone: Path, journal: Path) -> None:
    """Forget somebody who is there, again and again, and wipe the bytes at once."""
    gallery, moments = Gallery.open(uri, notes=notes, create=True), random.Random(1)
    while not (notes / "stop").exists():
        known = sorted(set(journal.read_text().split()) - set(gone.read_text().split()))
        # Those of one writer only: the other may be about to add the rest.
        own = [id for id in known[: -4 * BATCH] if not id.startswith("both")]
        if not own:
            time.sleep(0.1)
            continue
        ids = gallery.forget(Filter(ids=(moments.choice(own),)), at_once=True)
        with gone.open("a") as file:
            file.write(" ".join(["", *ids]))


if __name__ == "__main__":
    main()
