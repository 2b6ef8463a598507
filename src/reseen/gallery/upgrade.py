"""A gallery of the release before this format, converted: nothing of it is lost."""

import fcntl
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lancedb
import pyarrow

from reseen.data.colour_histogram import STRIPES
from reseen.errors import ReseenError
from reseen.files import converted, read_as, read_json, write_text, writing
from reseen.gallery.calibration import Calibration
from reseen.gallery.gallery import Gallery, matrix
from reseen.gallery.log import LOG_FILE, append_line, read_lines
from reseen.gallery.records import NewTracklets
from reseen.gallery.registers import Label
from reseen.gallery.table import FORMAT_KEY, TRACKLETS, Database

OLD_FORMAT = b"1"
OLD_COLUMNS = ["id", "model", "entry", "thumbnail", "feature", "stripes"]
OLD_FILES = ("marks.jsonl", "settings.json", "calibrations", "wipe-unfinished")
UNFINISHED, FINISHED = "upgrading", "upgraded"


def upgrade(place: Path) -> int:
    """Convert a gallery in its folder; returns how many tracklets it has.

    The new tables are made aside and take the old one's place when they are whole. It may be
    killed at any moment and started again.
    """
    if not place.is_dir():
        raise ReseenError(f"there is no gallery at {place}; one in an object store must be copied")
    with Database(str(place), place).locked(fcntl.LOCK_EX):
        if not (place / FINISHED).is_dir():
            _convert(place)
        _take_place(place)
    append_line(place / LOG_FILE, {"what": "upgrade"})
    return Gallery.open(place).count()


def _convert(place: Path) -> None:
    shutil.rmtree(place / UNFINISHED, ignore_errors=True)
    with Database(str(place), place).explained("converted"):
        connection = lancedb.connect(str(place))
        old = connection.open_table(TRACKLETS) if (place / f"{TRACKLETS}.lance").exists() else None
        if old is None or (old.schema.metadata or {}).get(FORMAT_KEY) != OLD_FORMAT:
            raise ReseenError(f"the gallery {place} needs no conversion")
        new = Gallery.open(place / UNFINISHED, create=True)
        _copy_rows(old, new)
    new.labels.put(_labels(place / "marks.jsonl"))
    if (place / "settings.json").exists():
        remedy = "write {} into it to keep tracklets for ever"
        settings = read_as(place / "settings.json", dict[str, float | None], remedy)
        new.settings.set_retention_days(settings.get("retention_days"))
    for path in sorted((place / "calibrations").glob("*.json")):
        document = read_json(path)
        for rates in document["rates"]:
            rates["probability"] = rates.pop("chance")
        calibration = converted(document, Calibration, path, "calibrate again")
        new.settings.keep_calibration(calibration)
    new.optimise()
    _copy_log(place / LOG_FILE, new)
    (place / UNFINISHED).rename(place / FINISHED)


def _copy_rows(old: Any, new: Gallery) -> None:
    """A row of each tracklet and model becomes one of the tracklet and one of the model."""
    added: dict[str, float] = {}
    ends: dict[str, float] = {}
    for batch in old.search().select(["id", "added", "keep_until"]).limit(None).to_batches():
        for row in batch.to_pylist():
            id, keep_until = row["id"], row["keep_until"]
            added[id] = min(row["added"], added.get(id, row["added"]))
            if keep_until is not None:  # of several dates the earliest was promised
                ends[id] = min(keep_until, ends.get(id, keep_until))
    for pictured in (True, False):  # who has a thumbnail in one of the rows gets it
        for model, batch in _rows(old, pictured):
            # Beside each model's embedding stood the colour histogram's.
            for name, column in {STRIPES: "stripes", model: "feature"}.items():
                part = batch.filter(batch[column].is_valid())
                if len(part):
                    tracklets = _tracklets(part)
                    new.add_embedded(
                        tracklets,
                        {name: matrix(part[column])},
                        keep_until=[ends.get(id) for id in tracklets.ids],
                        added=[added[id] for id in tracklets.ids],
                    )


def _copy_log(path: Path, new: Gallery) -> None:
    """Copy the log with digests in place of ids, which nothing may tell of who is forgotten."""
    lines = []
    for line in read_lines(path):
        for part in (line, line.get("where")):
            if isinstance(part, dict) and isinstance(part.get("ids"), list):
                part["ids"] = [new.settings.digest(str(id)) for id in part["ids"]]
        if "query" in line:
            line["query"] = new.settings.digest(str(line["query"]))
        lines.append(json.dumps(line, ensure_ascii=False) + "\n")
    write_text(Path(new.uri) / LOG_FILE, "".join(lines))


def _tracklets(rows: pyarrow.RecordBatch) -> NewTracklets:
    entries = [json.loads(text) for text in rows["entry"].to_pylist()]
    ids, cameras, starts, ends, sources, frames, *_ = map(list, zip(*entries, strict=True))
    strips = rows["thumbnail"].to_pylist()
    thumbnails = None if None in strips else strips
    return NewTracklets(ids, cameras, sources, starts, ends, frames, thumbnails)


def _rows(old: Any, pictured: bool) -> Iterator[tuple[str, pyarrow.RecordBatch]]:
    """The rows with or without thumbnails, a part of one model's after the other."""
    for batch in old.search().select(OLD_COLUMNS).limit(None).to_batches():
        wanted = pyarrow.compute.equal(batch["thumbnail"].is_valid(), pictured)
        for model in batch["model"].unique().to_pylist():
            of_model = pyarrow.compute.equal(batch["model"], model)
            yield model, batch.filter(pyarrow.compute.and_(wanted, of_model))


def _labels(path: Path) -> list[Label]:
    """The last word on every two tracklets that were not forgotten since."""
    latest: dict[frozenset[str], Label] = {}
    for line in read_lines(path):
        if "forgotten" in line:
            gone = set(line["forgotten"])
            latest = {pair: label for pair, label in latest.items() if not pair & gone}
        else:
            label = Label(line["query"], line["match"], line["same"], line["time"])
            latest[frozenset((label.query, label.match))] = label
    return list(latest.values())


def _take_place(place: Path) -> None:
    """Put the new tables where the old one was; what is done already is not done again."""
    finished = place / FINISHED
    with writing(place):
        if (finished / f"{TRACKLETS}.lance").exists():
            shutil.rmtree(place / f"{TRACKLETS}.lance", ignore_errors=True)
        if (finished / LOG_FILE).exists():
            (finished / LOG_FILE).replace(place / LOG_FILE)
        for table in sorted(finished.glob("*.lance")):
            table.rename(place / table.name)
        for name in OLD_FILES:
            path = place / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        shutil.rmtree(finished)
