"""Stored frames as pictures for people to look at, and pictures as data for a page."""

from base64 import b64encode
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from reseen.data.coding import unpack_pictures
from reseen.data.pictures import Picture
from reseen.data.store import FrameStore

PictureStack = NDArray[np.uint8]
"""Several pictures of one size, (n, H, W, 3) uint8, RGB."""


def middle_pictures(store: FrameStore, index: int, count: int, step: int = 1) -> PictureStack:
    """Frames around the middle of a tracklet; a short one starts over at its end.

    Args:
        store: where it lies.
        index: which tracklet.
        count: how many frames.
        step: how many frames to go on from one to the next.

    Returns:
        (count, 64, 48, 3) uint8, RGB; the tracklet's middle frame at place count // 2.
    """
    frames = store.tracklet(index)
    places = len(frames) // 2 + step * (np.arange(count) - count // 2)
    return unpack_pictures(frames[places % len(frames)])


def enlarged(picture: Picture, times: int) -> Picture:
    """A picture so many times as large, by Lanczos interpolation."""
    larger: Any = cv2.resize(picture, None, fx=times, fy=times, interpolation=cv2.INTER_LANCZOS4)
    return np.asarray(larger, dtype=np.uint8)


def data_uri(content: bytes) -> str:
    """A JPEG or PNG file's content as an address that needs no file."""
    kind = "png" if content.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{b64encode(content).decode()}"
