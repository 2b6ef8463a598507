"""What `track` wrote about a tracklet, found again and deleted."""

import shutil
from pathlib import Path
from typing import Any

import msgspec

from reseen.data.tracked import TRACKLETS_FILE, UNFINISHED, boxes_of
from reseen.errors import ReseenError
from reseen.files import converted, read_json, read_text, write_json, write_text, writing

_BY_HAND = "delete by hand what the folder holds of the forgotten"


class _Listed(msgspec.Struct):
    """What must be there of `TRACKLETS_FILE`; the rest is kept as it is."""

    tracklets: list[dict[str, Any]]


def delete_crops(crops: Path) -> bool:
    """Delete a tracklet's crops, its place in the list and its boxes, where `track` wrote them.

    Args:
        crops: the folder of the crops.

    Returns:
        Whether it did. Pictures that somebody else put there stay, and so do those of a recording
        that is still going on, whose list would name them again.
    """
    folder = crops.parent
    if not (folder / TRACKLETS_FILE).is_file() or (folder / UNFINISHED).exists():
        return False
    document = read_json(folder / TRACKLETS_FILE)
    listed = converted(document, _Listed, folder / TRACKLETS_FILE, _BY_HAND).tracklets
    kept = [entry for entry in listed if entry.get("id") != crops.name]
    if len(kept) == len(listed):
        return False
    file = boxes_of(folder, crops.name)
    try:
        number = str(int(crops.name.rpartition("-")[2]))
        boxes = read_text(file).splitlines(keepends=True)
        others = "".join(line for line in boxes if line.split(",")[1] != number)
    except (ReseenError, ValueError, IndexError) as error:
        raise ReseenError(f"{file} cannot be read ({error}); {_BY_HAND}") from error
    with writing(crops):
        write_json(folder / TRACKLETS_FILE, {**document, "tracklets": kept})
        write_text(file, others)
        shutil.rmtree(crops)
    return True
