"""Files that commands wrote about tracklets, so that forgetting finds them."""

from collections.abc import Collection, Sequence
from pathlib import Path
from uuid import uuid4

import pyarrow
from lancedb.expr import col

from reseen.files import digest_of, writing
from reseen.gallery.table import Database, schema_of

NAME = "exports"
TEXT = pyarrow.string()
SCHEMA = schema_of("key", id=TEXT, path=TEXT, digest=TEXT)


class Exports:
    """The register of a gallery's exports: a row for each file and tracklet.

    A row without an id stands for a file that is about somebody who is forgotten.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, path: Path, ids: Collection[str]) -> None:
        """Register a file that has just been written, in place of what the path held before.

        Who may only read a gallery registers nothing.
        """
        if not self._database.writable:
            return
        place, digest = str(path.resolve()), digest_of(path)
        table = self._database.make(NAME, SCHEMA)
        table.delete(col("path") == place)
        table.put(
            [{"key": uuid4().hex, "id": id, "path": place, "digest": digest} for id in set(ids)]
        )

    def leave(self, ids: Sequence[str]) -> None:
        """Keep which files are about tracklets that are about to be forgotten, not about whom."""
        table = self._database.find(NAME)
        if table is not None:
            found = table.read(["path", "digest"], col("id").isin(list(ids))).to_pylist()
            left = {row["path"]: row for row in found}
            table.put([row | {"key": uuid4().hex, "id": None} for row in left.values()])

    def clear(self, *, elsewhere: bool = False) -> list[Path]:
        """Delete the files about the forgotten that lie in the gallery's folder.

        Args:
            elsewhere: delete those that lie elsewhere as well.

        Returns:
            Those that stay: they lie elsewhere, or have been changed since.
        """
        table = self._database.find(NAME)
        if table is None or not self._database.writable:
            return []
        rows = [row for row in table.read(SCHEMA.names).to_pylist() if row["id"] is None]
        here, gone, left = Path(self._database.uri).resolve(), [], set[Path]()
        for row in rows:
            path = Path(row["path"])
            ours = elsewhere or (self._database.on_disk and path.is_relative_to(here))
            if path.is_file() and not (ours and digest_of(path) == row["digest"]):
                left.add(path)
                continue
            with writing(path):
                path.unlink(missing_ok=True)
            gone.append(row["key"])
        if gone:
            table.delete(col("key").isin(gone))
        return sorted(left)
