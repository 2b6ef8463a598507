"""What `track` wrote about a tracklet, found again and deleted."""

import shutil
from pathlib import Path

from reseen.data.tracked import TRACKLETS_FILE, UNFINISHED, boxes_of
from reseen.files import cannot_write, read_json, write_json, write_text


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
    kept = [entry for entry in document["tracklets"] if entry["id"] != crops.name]
    if len(kept) == len(document["tracklets"]):
        return False
    number = str(int(crops.name.rpartition("-")[2]))
    file = boxes_of(folder, crops.name)
    boxes = file.read_text(encoding="utf-8").splitlines(keepends=True)
    try:
        write_json(folder / TRACKLETS_FILE, {**document, "tracklets": kept})
        others = "".join(line for line in boxes if line.split(",")[1] != number)
        write_text(file, others)
        shutil.rmtree(crops)
    except OSError as error:
        raise cannot_write(crops, error) from error
    return True
