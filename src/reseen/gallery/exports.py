"""Files about tracklets beside the gallery, for forgetting: its exports, and what `track` wrote."""

import json
import shutil
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pyarrow
from lancedb.expr import col

from reseen.data.tracked import TRACKLETS_FILE, UNFINISHED, boxes_of
from reseen.errors import ReseenError
from reseen.files import converted, digest_of, read_json, read_text, write_json, write_text, writing
from reseen.gallery.log import BY
from reseen.gallery.table import Database, schema_of
from reseen.times import show

NAME = "exports"
TEXT = pyarrow.string()
SCHEMA = schema_of("key", id=TEXT, path=TEXT, digest=TEXT)


class Exports:
    """The register of a gallery's exports: a row for each file and tracklet.

    A row without an id stands for a file that is about somebody who is forgotten, one without a
    digest for what was downloaded from the page: only people can tell where that is.
    """

    def __init__(self, database: Database) -> None:
        self._database, self._table = database, database.table(NAME, SCHEMA)

    def keep(self, path: Path, ids: Collection[str]) -> None:
        """Register a file of ours, in place of what the path held before.

        Who may only read a gallery registers nothing.
        """
        if self._database.writable:
            place, digest = str(path.resolve()), digest_of(path)
            other = (col("path") == place) & (col("digest") != digest)
            self._table.delete(other)
            self._put(place, digest, ids)

    def downloaded(self, name: str, ids: Collection[str]) -> None:
        """Register what somebody has just got from the page."""
        if self._database.writable:
            by = f" by {BY.get()}" if BY.get() else ""
            self._put(f"{name}, downloaded {show(time.time())}{by},", None, ids)

    def _put(self, place: str, digest: str | None, ids: Collection[str]) -> None:
        row = {"path": place, "digest": digest}
        rows = [row | {"key": json.dumps([place, digest, id]), "id": id} for id in set(ids)]
        self._table.put(rows)

    def leave(self, ids: Sequence[str]) -> None:
        """Keep which files are about tracklets that are about to be forgotten, not about whom."""
        found = self._table.read(["path", "digest"], col("id").isin(list(ids))).to_pylist()
        left = {row["path"]: row for row in found}
        self._table.put([row | {"key": uuid4().hex, "id": None} for row in left.values()])

    def left(self) -> list[str]:
        """The files about somebody who is forgotten that are still there, for all that is known."""
        rows = self._of_the_forgotten()
        there = {r["path"] for r in rows if r["digest"] is None or Path(r["path"]).is_file()}
        return sorted(there)

    def _of_the_forgotten(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self._table.read(SCHEMA.names).to_pylist()
        return [row for row in rows if row["id"] is None]

    def clear(self, *, elsewhere: bool = False, telling: bool = False) -> list[str]:
        """Delete the files about the forgotten that lie in the gallery's folder.

        Args:
            elsewhere: delete those that lie elsewhere as well.
            telling: what was downloaded is told to somebody now, and need not be told again.

        Returns:
            Those that stay: they lie elsewhere, or have been changed since.
        """
        if not self._database.writable:
            return []
        here, gone, left = Path(self._database.uri).resolve(), [], set[str]()
        for row in self._of_the_forgotten():
            if row["digest"] is None:
                left.add(row["path"])
                gone += [row["key"]] if telling else []
                continue
            path = Path(row["path"])
            ours = elsewhere or (self._database.on_disk and path.is_relative_to(here))
            if path.is_file() and not (ours and digest_of(path) == row["digest"]):
                left.add(row["path"])
                continue
            with writing(path):
                path.unlink(missing_ok=True)
            gone.append(row["key"])
        if gone:
            self._table.delete(col("key").isin(gone))
        return sorted(left)


BY_HAND = "delete by hand what the folder holds of the forgotten"


class _Listed(msgspec.Struct):
    """What must be there of `TRACKLETS_FILE`; the rest is kept as it is."""

    tracklets: list[dict[str, Any]]


def delete_crops(crops: Path) -> bool:
    """Delete the folder of a tracklet's crops, its place in the list and its boxes, by `track`.

    Returns:
        Whether it did. Pictures that somebody else put there stay, and so do those of a recording
        that is still going on, whose list would name them again.
    """
    folder = crops.parent
    if not (folder / TRACKLETS_FILE).is_file() or (folder / UNFINISHED).exists():
        return False
    document = read_json(folder / TRACKLETS_FILE)
    listed = converted(document, _Listed, folder / TRACKLETS_FILE, BY_HAND).tracklets
    kept = [entry for entry in listed if entry.get("id") != crops.name]
    if len(kept) == len(listed):
        return False
    file = boxes_of(folder, crops.name)
    try:
        number = str(int(crops.name.rpartition("-")[2]))
        boxes = read_text(file).splitlines(keepends=True) if file.exists() else []
        others = "".join(line for line in boxes if line.split(",")[1] != number)
    except (ReseenError, ValueError, IndexError) as error:
        raise ReseenError(f"{file} cannot be read ({error}); {BY_HAND}") from error
    with writing(crops):
        write_json(folder / TRACKLETS_FILE, {**document, "tracklets": kept})
        if boxes:
            write_text(file, others)
        shutil.rmtree(crops)
    return True
