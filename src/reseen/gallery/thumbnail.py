"""The strip of small pictures that stands for a tracklet in lists, sheets and pages."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from reseen.data.pictures import Picture
from reseen.errors import ReseenError
from reseen.gallery.privacy import pixelate_head

FRAMES, HEIGHT, WIDTH = 8, 96, 48
QUALITY = 80


def make_thumbnail(pictures: Sequence[Picture], *, pixelate_heads: bool) -> bytes:
    """Draw 8 evenly spaced pictures side by side; a shorter tracklet repeats some.

    Returns:
        A JPEG, 8 x 48 pixels wide and 96 high, so that a page can show it as a moving picture.
    """
    places = np.linspace(0, len(pictures) - 1, FRAMES).round().astype(int)
    small = {place: _small(pictures[place], pixelate_heads) for place in set(places.tolist())}
    strip = np.hstack([small[place] for place in places.tolist()])
    written, jpeg = cv2.imencode(
        ".jpg", cv2.cvtColor(strip, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
    )
    if not written:
        raise ReseenError("a thumbnail cannot be packed as JPEG")
    return bytes(jpeg)


def read_thumbnail(jpeg: bytes) -> NDArray[np.uint8]:
    """The strip (96, 384, 3) uint8, RGB, of a thumbnail."""
    strip: Any = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    return np.asarray(cv2.cvtColor(strip, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def _small(picture: Picture, pixelate_heads: bool) -> Picture:
    small = np.asarray(cv2.resize(picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), np.uint8)
    return pixelate_head(small) if pixelate_heads else small
