"""Whether a gallery's files are as they were written.

LanceDB keeps no checksums and never changes a table's file that it has written. So the digests of
all files are kept beside them, and a bit that has flipped since is found.
"""

import fcntl
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pyarrow

from reseen.errors import ReseenError
from reseen.files import CheckResult, Fact, digest_of, read_as, write_json
from reseen.gallery.table import TRACKLETS, Database

DIGESTS_FILE = "digests.json"
HINT = "latest_version_hint.json"
"""The one file that LanceDB writes over; it only makes opening quicker."""


def keep_digests(database: Database) -> None:
    """Keep the digests of files that have come, and drop those of files that have gone."""
    if not database.on_disk:  # object stores keep checksums themselves
        return
    folder = Path(database.uri)
    with database.locked(fcntl.LOCK_EX):
        known = _known(folder)
        kept = {name: known.get(name) or digest_of(folder / name) for name in _files(folder)}
        if kept != known:
            write_json(folder / DIGESTS_FILE, kept)
            (folder / DIGESTS_FILE).chmod(0o600)


def check_database(database: Database) -> CheckResult:
    """Read all tables whole, and compare every file with its digest."""
    problems, notes, files = list[str](), list[str](), list[str]()
    if database.on_disk:
        folder = Path(database.uri)
        known, files = _known(folder), _files(folder)
        problems += [
            f"{folder / name} is not as it was written"
            for name in files
            if name in known and digest_of(folder / name) != known[name]
        ]
        if new := sum(name not in known for name in files):
            notes.append(f"{new} of {len(files)} files have no digest yet; the next add keeps it")
    facts = []
    for name in database.names():
        rows = 0
        try:
            for batch in database.existing(name).batches(database.existing(name).schema.names):
                rows += len(batch)
                problems += _bad_thumbnails(batch) if name == TRACKLETS else ()
        except ReseenError as error:
            problems.append(str(error))
        facts.append(Fact(name, None, rows))
    return CheckResult((*facts, Fact("files", None, len(files))), tuple(problems), tuple(notes))


def _known(folder: Path) -> dict[str, str]:
    file = folder / DIGESTS_FILE
    return read_as(file, dict[str, str], "remove it") if file.exists() else {}


def _files(folder: Path) -> list[str]:
    """The files of all tables, by their place in the folder."""
    paths = folder.glob("*.lance/**/*")
    files = (path for path in paths if path.is_file() and path.name != HINT)
    return sorted(path.relative_to(folder).as_posix() for path in files)


def _bad_thumbnails(batch: pyarrow.RecordBatch) -> Iterator[str]:
    for id, strip in zip(batch["id"].to_pylist(), batch["thumbnail"].to_pylist(), strict=True):
        if strip and cv2.imdecode(np.frombuffer(strip, np.uint8), cv2.IMREAD_COLOR) is None:
            yield f"the thumbnail of {id} cannot be read"
