"""Videos of coloured blocks that walk, and a detector that knows them."""

import os
import signal
from pathlib import Path

import cv2
import numpy as np

from reseen.tracking.detections import Detections
from reseen.tracking.video import Picture

RED, GREEN = (220, 30, 30), (30, 200, 30)
FRAMES = 40
POISON = 100
"""How far down red is in a film that kills."""


def film(path: Path, shift: int = 0, rate: float = 10) -> Path:
    """As many frames a second as are said: red is there all the time, green from frame 10 to 29."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), rate, (320, 240))
    for index in range(FRAMES):
        picture = np.full((240, 320, 3), 128, np.uint8)
        picture[20 + shift : 100 + shift, 10 + 4 * index : 40 + 4 * index] = RED
        if 10 <= index < 30:
            picture[130:210, 260 - 4 * index : 290 - 4 * index] = GREEN
        writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    writer.release()
    return path


def find(picture: Picture) -> Detections:
    """The blocks, even after JPEG."""
    boxes = []
    for colour in (RED, GREEN):
        near = np.abs(picture.astype(int) - colour).max(axis=2) < 60
        if near.sum() > 500:
            rows, columns = np.flatnonzero(near.any(axis=1)), np.flatnonzero(near.any(axis=0))
            boxes.append((columns[0], rows[0], columns[-1] + 1, rows[-1] + 1))
    return Detections.of(boxes, [0.9] * len(boxes))


def find_or_die(picture: Picture) -> Detections:
    """The blocks; where red is as far down as in a poisonous film, the process is killed."""
    found = find(picture)
    if len(found.boxes) and found.boxes[0][1] >= POISON:
        os.kill(os.getpid(), signal.SIGKILL)
    return found
