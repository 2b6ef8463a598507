"""The strip of small pictures that stands for a tracklet in lists, sheets and pages."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from reseen.data.pictures import Picture, encode_jpeg

FRAMES, HEIGHT, WIDTH = 8, 96, 48
QUALITY = 80

LEAST_HEAD, HEAD_TO_WIDTH = 0.2, 0.42
"""A head's share of the height of a person who is seen whole, with some room below; and its height
as a share of a box's width, which holds where the picture's edge cuts off the legs."""

UNSURE_TOP = 0.2
"""Where a head is taken to begin, as a share of the height, where that cannot be seen."""

DIFFERENT, FEWEST_DIFFERENT, MOST_UNEVEN = 20.0, 0.12, 30.0
"""Distance in CIELAB from the colours of a row's two ends, from which on a pixel belongs to a
figure; the share of a row's middle that must; and how far the two ends may be apart."""

PLAUSIBLE_HEAD = (0.07, 0.3)
"""From a figure's top edge to its shoulders, as a share of what is below that edge."""

LARGEST_HIDDEN = 0.7

MOSAIC_COLUMNS = 4


def make_thumbnail(pictures: Sequence[Picture], *, pixelate_heads: bool) -> bytes:
    """Draw 8 evenly spaced pictures side by side; a shorter tracklet repeats some.

    The best of them comes first, the others follow in time and begin anew after the last: played
    in a loop, nothing of that is seen.

    Returns:
        A JPEG, 8 x 48 pixels wide and 96 high, so that a page can show it as a moving picture.
    """
    places = np.linspace(0, len(pictures) - 1, FRAMES).round().astype(int).tolist()
    chosen = {place: pictures[place] for place in sorted(set(places))}
    best = max(chosen, key=lambda place: quality(chosen[place]))
    strip = [
        np.asarray(cv2.resize(picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), np.uint8)
        for picture in chosen.values()
    ]
    if pixelate_heads:
        heads = [head_bottom(picture) for picture in chosen.values()]
        usual = np.median(heads)
        strip = [pixelate(*each) for each in zip(strip, np.maximum(heads, usual), strict=True)]
    small = dict(zip(chosen, strip, strict=True))
    first = places.index(best)
    return encode_jpeg(
        np.hstack([small[place] for place in places[first:] + places[:first]]), QUALITY
    )


def quality(picture: Picture) -> float:
    """How good a picture of somebody this is, to be compared with others of the same person.

    Sharp edges in the middle, where the person is, times the share of it that is neither black nor
    white, times how near the shape is to that of a whole body: who is cut off is wider or narrower.
    """
    shape = picture.shape[1] / picture.shape[0] * HEIGHT / WIDTH
    grey = cv2.cvtColor(
        cv2.resize(picture, (64, 128), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY
    )
    middle = grey[:, 16:48]
    lit = np.mean((middle > 10) & (middle < 245))
    return float(cv2.Laplacian(middle, cv2.CV_32F).std() * lit * min(shape, 1 / shape))


def read_thumbnail(jpeg: bytes) -> NDArray[np.uint8]:
    """The strip (96, 384, 3) uint8, RGB, of a thumbnail."""
    strip: Any = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    return np.asarray(cv2.cvtColor(strip, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def still_of(jpeg: bytes) -> bytes:
    """The first picture of a thumbnail, as a JPEG of its own."""
    return encode_jpeg(read_thumbnail(jpeg)[:, :WIDTH], QUALITY)


def head_bottom(picture: Picture) -> float:
    """Down to where a person's head is in a box that may be loose, as a share of its height.

    A figure is what differs from the colours of both ends of its row. Where it has a clear upper
    edge, and below it shoulders at a head's distance, the head ends a little below these. Where
    not, as before a lively background, more is taken for head than most boxes need.
    """
    height, width = picture.shape[:2]
    head = max(LEAST_HEAD, HEAD_TO_WIDTH * width / height)
    top, shoulders = _figure_top(picture) or (UNSURE_TOP, 0.0)
    return float(min(max(shoulders + 0.04, top + head * (1 - top)), LARGEST_HIDDEN))


def _figure_top(picture: Picture) -> tuple[float, float] | None:
    """Upper edge and shoulders of a figure, as shares of the height; None where that is unsure."""
    small = cv2.resize(picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    colours = cv2.cvtColor(cv2.GaussianBlur(small, (3, 3), 0), cv2.COLOR_RGB2LAB).astype(np.float32)
    colours[..., 0] *= 0.7  # light changes more than colour within a background
    ends = np.stack([np.median(part, axis=1) for part in (colours[:, :6], colours[:, -6:])])
    away = np.linalg.norm(colours - ends[:, :, None], axis=3).min(axis=0)
    figure = cv2.morphologyEx(
        (away > DIFFERENT).astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)
    )
    widths = figure[:, WIDTH // 6 : -WIDTH // 6].mean(axis=1)
    there = widths > FEWEST_DIFFERENT
    top = int(there[: HEIGHT // 2].argmax())
    body = widths[top : top + HEIGHT // 2]
    if not there[top]:
        return None
    shoulders = top + int(
        (widths[top:] >= 0.75 * np.median(body[body > FEWEST_DIFFERENT])).argmax()
    )
    uneven = np.median(np.linalg.norm(ends[0] - ends[1], axis=1)[: top + 16])
    clear = there[top : top + 12].mean() > 0.8 and body[:4].mean() < 0.7 and uneven < MOST_UNEVEN
    low, high = PLAUSIBLE_HEAD
    if not (clear and low <= (shoulders - top) / (HEIGHT - top) <= high):
        return None
    return top / HEIGHT, shoulders / HEIGHT


def pixelate(picture: NDArray[np.uint8], share: float) -> NDArray[np.uint8]:
    """Replace the top of a person's picture by a coarse mosaic.

    This hides the face of a person who is upright in the box. It does not hide clothes or gait,
    and not the face of somebody who bends or sits.

    Args:
        picture: (H, W, 3) uint8; stays as it is.
        share: of its height, from the top, as `head_bottom` gives it.
    """
    height, width = max(1, round(len(picture) * share)), picture.shape[1]
    rows = max(1, round(height / width * MOSAIC_COLUMNS))
    coarse = cv2.resize(picture[:height], (MOSAIC_COLUMNS, rows), interpolation=cv2.INTER_AREA)
    hidden = picture.copy()
    hidden[:height] = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_NEAREST)
    return hidden


def hidden(picture: Picture, boxes: NDArray[np.float32], width: int) -> Picture:
    """A whole picture (H, W, 3), shrunk to a width, with the heads in boxes (B, 4) hidden."""
    scale = min(width / picture.shape[1], 1.0)
    size = round(picture.shape[1] * scale), max(round(len(picture) * scale), 1)
    small = np.array(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    for box in boxes * scale:
        left, top, right, bottom = np.maximum(box.round().astype(int), 0).tolist()
        body = small[top:bottom, left:right]
        if body.size:
            small[top:bottom, left:right] = pixelate(body, head_bottom(body))
    return small
