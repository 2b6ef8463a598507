"""Reading pictures from disk, one or many, and knowing a broken one."""

import warnings
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, overload

import cv2
import numpy as np
from numpy.typing import NDArray

from reseen.errors import ReseenError
from reseen.files import read_file

Picture = NDArray[np.uint8]
"""(H, W, 3) uint8, RGB."""

MOST_PIXELS = 50_000_000
"""In a picture that is decoded: more than a frame of 8K video has, and 150 MB."""


def read_picture(path: Path) -> Picture:
    """Read a picture file as `decode_picture` reads its content.

    Raises:
        ReseenError: the file is missing, empty, cut short, too large or not a picture.
    """
    return decode_picture(read_file(path), str(path))


def decode_picture(content: bytes, name: str) -> Picture:
    """Decode a picture of any format that OpenCV knows; errors call it by `name`.

    Returns:
        (H, W, 3) uint8, RGB; gray pictures are repeated, transparency is dropped.

    Raises:
        ReseenError: it is empty, cut short, not a picture, or has more than `MOST_PIXELS`.
    """
    if not content:
        raise ReseenError(f"{name} is empty")
    if _cut_short(content):
        raise ReseenError(f"{name} is cut short")
    height, width = header_size(content) or (0, 0)
    if height * width > MOST_PIXELS:
        raise ReseenError(f"{name} has more than {MOST_PIXELS:,} pixels")
    picture = _decoded(content) if height * width else None
    if picture is None:
        raise ReseenError(f"{name} is not a picture")
    rgb: Picture = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
    return rgb


def encode_jpeg(picture: Picture, quality: int) -> bytes:
    """A picture as the content of a JPEG file of a quality from 1 to 100."""
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def data_uri(content: bytes) -> str:
    """A JPEG or PNG file's content as an address that needs no file."""
    kind = "png" if content.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{b64encode(content).decode()}"


def header_size(content: bytes) -> tuple[int, int] | None:
    """Height and width as a picture file's header says, nothing decoded; None without a header."""
    from PIL import Image

    try:
        with warnings.catch_warnings(action="ignore"), Image.open(BytesIO(content)) as picture:
            return picture.height, picture.width
    except Image.DecompressionBombError:
        return MOST_PIXELS, MOST_PIXELS
    except Exception:  # Pillow's readers raise many kinds for what is not what it claims
        return None


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
