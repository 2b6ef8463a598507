"""Between a gallery's records and its table's rows."""

import json
import time
from functools import reduce
from operator import and_
from typing import Any

import numpy as np
import pyarrow
from lancedb.expr import Expr, col
from numpy.typing import NDArray

from reseen.gallery.records import Embedded, Entry, Filter, Matrix
from reseen.gallery.table import KEY
from reseen.times import DATED_FROM, is_dated


def conditions(where: Filter, model: str | None = None) -> Expr | None:
    """What a row must fulfil; None where every row will do."""
    found: list[Expr] = []
    if model is not None:
        found.append(col("model") == model)
    if where.ids:
        found.append(col("id").isin(list(where.ids)))
    if where.camera is not None:
        found.append(col("camera") == where.camera)
    if where.not_camera is not None:
        found.append(col("camera") != where.not_camera)
    if where.start is not None:
        found.append(col("end_time") >= float(where.start))
    if where.end is not None:
        found.append(col("start_time") <= float(where.end))
    for bound in {where.start, where.end} - {None}:  # a date says nothing of undated recordings
        start = col("start_time")
        found.append(start >= DATED_FROM if is_dated(bound) else start < DATED_FROM)
    return reduce(and_, found) if found else None


def to_rows(
    embedded: Embedded, model: str, keep_until: float | None, schema: pyarrow.Schema
) -> pyarrow.Table:
    """Rows for `embedded`, stamped with the present time."""
    count, now = len(embedded.ids), time.time()
    facts = zip(
        embedded.ids,
        embedded.cameras,
        embedded.starts,
        embedded.ends,
        embedded.sources,
        embedded.frames,
        strict=True,
    )
    values = {
        KEY: [f"{model} {id}" for id in embedded.ids],
        "id": embedded.ids,
        "model": [model] * count,
        "camera": embedded.cameras,
        "start_time": embedded.starts,
        "end_time": embedded.ends,
        "added": [now] * count,
        "keep_until": [keep_until] * count,
        "entry": [json.dumps([*fact, now, keep_until]) for fact in facts],
        "thumbnail": embedded.thumbnails or [None] * count,
        "feature": _list_column(embedded.features),
        "stripes": None if embedded.stripes is None else _list_column(embedded.stripes),
    }
    empty = pyarrow.nulls(count)
    arrays = [
        (empty if values[field.name] is None else pyarrow.array(values[field.name])).cast(
            field.type
        )
        for field in schema
    ]
    return pyarrow.Table.from_arrays(arrays, schema=schema)


def to_entries(rows: pyarrow.Table, model: str) -> list[Entry]:
    """Records of a model's rows, from their column `entry`."""
    texts = rows["entry"].to_pylist()
    return [Entry(id, model, *facts) for id, *facts in map(json.loads, texts)]


def matrix(column: Any) -> Matrix:
    """(M, D) float32 from a column of M lists of D numbers."""
    array = column.combine_chunks() if isinstance(column, pyarrow.ChunkedArray) else column
    values: NDArray[np.float32] = array.flatten().to_numpy(zero_copy_only=False)
    return values.reshape(len(array), array.type.list_size)


def _list_column(features: Matrix) -> pyarrow.FixedSizeListArray:
    values = pyarrow.array(np.ascontiguousarray(features, dtype=np.float32).ravel())
    return pyarrow.FixedSizeListArray.from_arrays(values, features.shape[1])
