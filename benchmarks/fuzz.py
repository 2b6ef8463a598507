"""Whether anything answers damaged files or odd values with anything but one clear line.

Run as `python benchmarks/fuzz.py [--inputs N] [--seed S] [READER ...]`. Whole files, commands and
requests are damaged by a seeded hand: bytes are changed, cut out, wiped and doubled, and values in
JSON and TOML replaced by others of any type; digests are then written anew, so that what lies
behind them is reached. Each reader works in a process of its own. It fails for any other exception
than ReseenError, for a result that is another one without a word where digests hold it, for more
than 60 seconds over one input and for more than 2 GB of memory.

Boxes, settings in TOML and lists of tracklets carry no digest, since people and other tools write
them, too: what holds of those is that every value has the type and range that it needs.
"""

import argparse
import copy
import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from fuzz_programs import programs
from fuzz_readers import Reader, readers

from reseen.errors import ReseenError
from reseen.progress import plain

KEPT = Path(tempfile.gettempdir()) / "fuzzed"
"""What failed is kept here."""

LONGEST, MOST_BYTES = 60, 2_000_000_000
ODD = [None, True, [], {}, "", "x", "\x00", "../x", -1, 0, 10**30, 1.5, -1e308, [[1]], {"a": [1]}]
ODD += [
    "a\\') OR (1=1)) --",
    "'",
    '"',
    "%",
    "_",
    "a\nb",
    "\x1b[31m",
    "\udcff",
    "nan",
    "inf",
    "1e400",
]
ODD += ["9" * 400, "é" * 300, "-", "--", "{}", "2026-02-30", "0001-01-01", "9999-12-31 23:59:59"]
CUTS = [b"[" * 20_000, b"\xff\xfe", b"\x00", b'"', b"{", b"nan", b"1e999", b"-", b"9" * 500, b"\n"]

TOML = [b"[1]", b"{}", b'""', b"1e400", b"-inf", b"2026-05-01", b"true", b"-1", b"{a = 1}", b"0x10"]


def damaged(content: bytes, random: random.Random, seal: Callable[[Any], Any] | None) -> bytes:
    """A file with some of its bytes, or in two of three JSON documents of its values, replaced."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict | list) and random.random() < 0.67:
        for _ in range(random.choice([1, 1, 2, 5])):
            document = _replaced(document, random)
        with suppress(UnicodeEncodeError):  # of a text that no digest can be made of
            document = document if seal is None else seal(document)
        return json.dumps(document).encode()
    settings = content.split(b"\n")
    places = [place for place, line in enumerate(settings) if b" = " in line]
    if places and random.random() < 0.67:
        place = random.choice(places)
        settings[place] = settings[place].partition(b" = ")[0] + b" = " + random.choice(CUTS + TOML)
        return b"\n".join(settings)
    return _damaged_bytes(content, random)


def _damaged_bytes(content: bytes, random: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(random.choice([1, 1, 3, 20])):
        place = random.randrange(len(changed) + 1)
        match random.randrange(7):
            case 0:
                changed[place : place + 1] = bytes([random.randrange(256)])
            case 1:
                del changed[place : place + random.choice([1, 8, len(changed)])]
            case 2:
                changed[place:place] = changed[place : place + random.choice([1, 8, 300])]
            case 3:
                changed[place:place] = random.choice(CUTS)
            case 4:
                changed[place : place + 4] = random.choice([b"\xff" * 4, b"\x00" * 4, b"9999"])
            case 5:
                changed[place : place + 1] = bytes(b ^ 16 for b in changed[place : place + 1])
            case 6:
                wiped = changed[place : place + len(changed) // 4]
                changed[place : place + len(wiped)] = bytes(len(wiped))
    return bytes(changed)


def _replaced(value: Any, random: random.Random) -> Any:
    """A document with one value of it, at any depth, replaced, left out or doubled."""
    if not isinstance(value, dict | list) or not value or random.random() < 0.15:
        return copy.deepcopy(random.choice(ODD))
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key = random.choice(keys)
    if random.random() < 0.15:
        del value[key]
    elif isinstance(value, list) and random.random() < 0.1:
        value.append(copy.deepcopy(value[key]))
    else:
        value[key] = _replaced(value[key], random)
    return value


@cache
def _undamaged(reader: Reader, folder: Path) -> object:
    """What a reader finds where nothing is damaged."""
    path = folder / (reader.paths[0] if reader.paths else reader.name)
    path.parent.mkdir(parents=True)
    path.write_bytes(reader.content[0])
    return reader.read(path)


class Hang(BaseException):
    """One input took longer than `LONGEST` seconds."""


def attack(reader: Reader, inputs: int, seed: int, place: Path, told: Connection) -> None:
    """Damage a reader's files so many times; tells how each ended, and the memory taken."""
    chance, ends = random.Random(f"{seed} {reader.name}"), Counter[str]()

    def late(*_: object) -> None:
        raise Hang

    for stream in (1, 2):  # decoders are talkative, commands print
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    signal.signal(signal.SIGALRM, late)
    if reader.held:
        _undamaged(reader, place / "whole")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(inputs):
        folder = place / f"{number}"
        which = chance.randrange(len(reader.content))
        path = folder / (reader.paths[which] if reader.paths else reader.name.partition(" to ")[0])
        path.parent.mkdir(parents=True)
        whole = reader.content[which]
        hurt = _damaged_bytes(whole, chance) if reader.held else damaged(whole, chance, reader.seal)
        path.write_bytes(hurt)
        signal.alarm(LONGEST)
        try:
            found = reader.read(path)
            changed = reader.held and found != _undamaged(reader, place / "whole")
            ends["changed without a word" if changed else "read"] += 1
        except ReseenError as error:
            ends["refused" if "\n" not in plain(str(error)) else "refused in several lines"] += 1
        except BaseException as error:
            ours = [
                f"{Path(one.filename).name}:{one.lineno}"
                for one in traceback.extract_tb(error.__traceback__)
                if "reseen" in one.filename
            ]
            ends[f"{type(error).__name__} at {ours[-1:]}, such as {number}: {error}"[:300]] += 1
            shutil.copytree(folder, KEPT / f"{reader.name} {number}", dirs_exist_ok=True)
        finally:
            signal.alarm(0)
        shutil.rmtree(folder)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    told.send((ends, 1024 * (after - before)))


def main() -> None:
    """Attack every reader, or those named; end with 1 where one failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("readers", nargs="*")
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "whole").mkdir()
        every = readers(Path(folder) / "whole") + programs(Path(folder) / "whole")
        chosen = [one for one in every if not options.readers or one.name in options.readers]
        for number, reader in enumerate(chosen):
            place = Path(folder) / f"{number}"
            place.mkdir()
            share = -(-options.inputs // len(chosen))
            ours, theirs = multiprocessing.Pipe()
            child = multiprocessing.get_context("fork").Process(
                target=attack, args=(reader, share, options.seed, place, theirs)
            )
            child.start()
            theirs.close()
            try:
                ends, memory = ours.recv()
            except EOFError:
                begun = [int(path.name) for path in place.iterdir() if path.name.isdigit()]
                last = max(begun, default="none, before the first")
                ends, memory = Counter({f"the process died of input {last}": 1}), 0
            child.join()
            faults = {end: count for end, count in ends.items() if end not in ("read", "refused")}
            failed += sum(faults.values()) + (memory > MOST_BYTES)
            print(
                f"{reader.name:26} {ends['read']:5,} read  {ends['refused']:5,} refused  "
                f"{sum(faults.values()):3} failed  {memory / 1e6:6,.0f} MB more", flush=True
            )  # fmt: skip
            for end, count in faults.items():
                print(f"    {count} × {end}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
