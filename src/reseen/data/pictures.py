"""Reading pictures from disk, one or many, and knowing a broken one."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import cv2
import numpy as np
from numpy.typing import NDArray

from reseen.errors import ReseenError

Picture = NDArray[np.uint8]
"""(H, W, 3) uint8, RGB."""


def read_picture(path: Path) -> Picture:
    """Read a picture of any format that OpenCV knows.

    Returns:
        (H, W, 3) uint8, RGB; gray pictures are repeated, transparency is dropped.

    Raises:
        ReseenError: the file is missing, empty, cut short or not a picture.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ReseenError(f"{path} cannot be read: {error.strerror}") from error
    return decode_picture(content, str(path))


def decode_picture(content: bytes, name: str) -> Picture:
    """Decode a picture file's content.

    Args:
        content: of any format that OpenCV knows.
        name: what to call it in an error.

    Returns:
        (H, W, 3) uint8, RGB; gray pictures are repeated, transparency is dropped.

    Raises:
        ReseenError: it is empty, cut short or not a picture.
    """
    if not content:
        raise ReseenError(f"{name} is empty")
    if _cut_short(content):
        raise ReseenError(f"{name} is cut short")
    picture = _decoded(content)
    if picture is None:
        raise ReseenError(f"{name} is not a picture")
    rgb: Picture = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
    return rgb


def _decoded(content: bytes) -> Any:
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
    try:
        picture: Any = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error:  # such as a forged header that claims a billion pixels
        return None
    if picture is not None and picture.dtype == np.uint16:
        # Of 16 bits, cameras use 10, 12 or 14: read as 16, their pictures would be all but black.
        used = next(bits for bits in (8, 10, 12, 14, 16) if picture.max() < 2**bits)
        picture = (picture >> (used - 8)).astype(np.uint8)
    if picture is not None and picture.dtype != np.uint8:  # floating point
        picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    return picture


def _cut_short(content: bytes) -> bool:
    """Whether a JPEG or PNG lacks its end; decoders fill the missing part with gray instead."""
    if content.startswith(b"\xff\xd8"):
        # The end mark must follow the last scan: a thumbnail inside has an end mark of its own.
        return content.rfind(b"\xff\xd9") < content.rfind(b"\xff\xda") or b"\xff\xda" not in content
    return content.startswith(b"\x89PNG") and b"IEND" not in content


@dataclass(frozen=True)
class Pictures(Sequence[Picture]):
    """Pictures that stay packed until asked for, so that a long tracklet costs no memory.

    Attributes:
        packed: files; or content and name of each, where they are not on disk.
    """

    packed: tuple[Path | tuple[bytes, str], ...]

    def __len__(self) -> int:
        return len(self.packed)

    @overload
    def __getitem__(self, index: int) -> Picture: ...

    @overload
    def __getitem__(self, index: slice) -> "Pictures": ...

    def __getitem__(self, index: int | slice) -> "Picture | Pictures":
        if isinstance(index, slice):
            return Pictures(self.packed[index])
        packed = self.packed[index]
        return read_picture(packed) if isinstance(packed, Path) else decode_picture(*packed)


def evenly(pictures: Sequence[Picture], most: int) -> list[Picture]:
    """At most so many pictures, evenly spaced from the first to the last."""
    wanted = min(most, len(pictures))
    places = np.linspace(0, len(pictures) - 1, wanted).round().astype(int)
    return [pictures[place] for place in places]
