"""The strip of small pictures that stands for a tracklet in lists, sheets and pages."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from reseen.data.pictures import Picture, encode_jpeg

FRAMES, HEIGHT, WIDTH = 8, 96, 48
QUALITY = 80

HEAD_SHARE = 1 / 5
"""The top part of a standing person's box that is taken for the head."""

MOSAIC_COLUMNS = 4


def make_thumbnail(pictures: Sequence[Picture], *, pixelate_heads: bool) -> bytes:
    """Draw 8 evenly spaced pictures side by side; a shorter tracklet repeats some.

    Returns:
        A JPEG, 8 x 48 pixels wide and 96 high, so that a page can show it as a moving picture.
    """
    places = np.linspace(0, len(pictures) - 1, FRAMES).round().astype(int)
    small = {}
    for place in set(places.tolist()):
        shrunk = cv2.resize(pictures[place], (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
        crop = np.asarray(shrunk, np.uint8)
        small[place] = pixelate_head(crop) if pixelate_heads else crop
    strip = np.hstack([small[place] for place in places.tolist()])
    return encode_jpeg(strip, QUALITY)


def read_thumbnail(jpeg: bytes) -> NDArray[np.uint8]:
    """The strip (96, 384, 3) uint8, RGB, of a thumbnail."""
    strip: Any = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    return np.asarray(cv2.cvtColor(strip, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def still_of(jpeg: bytes) -> bytes:
    """The first picture of a thumbnail, as a JPEG of its own."""
    return encode_jpeg(read_thumbnail(jpeg)[:, :WIDTH], QUALITY)


def pixelate_head(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Replace the top fifth of a person's picture by a coarse mosaic.

    This hides the face of a person who stands upright in the box. It does not hide clothes or
    gait, and not the face of somebody who bends, sits or is cut out badly.

    Args:
        picture: (H, W, 3) uint8; stays as it is.
    """
    height, width = max(1, round(len(picture) * HEAD_SHARE)), picture.shape[1]
    rows = max(1, round(height / width * MOSAIC_COLUMNS))
    coarse = cv2.resize(picture[:height], (MOSAIC_COLUMNS, rows), interpolation=cv2.INTER_AREA)
    hidden = picture.copy()
    hidden[:height] = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_NEAREST)
    return hidden
