"""Which live cameras are watched: what stands in a cameras.toml."""

import os
import re
from collections import Counter
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import msgspec
from msgspec import Meta

from reseen.errors import ReseenError, nearest
from reseen.files import read_text
from reseen.tracking.cutting import MIN_LENGTH
from reseen.tracking.track import check_camera
from reseen.tracking.video import is_url

VARIABLE = re.compile(r"\$\{(\w+)\}")
UNKNOWN = re.compile("Object contains unknown field `(.*?)`( - at .*)?", re.DOTALL)


class Camera(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A live camera.

    Attributes:
        name: its name, of letters, digits, ".", "_" and "-".
        source: its address (rtsp, http), a device such as /dev/video0, or a video file, which is
            played once at its own pace. ${NAME} stands for a variable of the environment.
        fps: frames per second in which people are looked for.
    """

    name: Annotated[str, Meta(max_length=100)]
    source: Annotated[str, Meta(min_length=1)]
    fps: Annotated[float, Meta(gt=0, le=100)] = 5.0

    @property
    def address(self) -> str:
        """The source with what the environment's variables hold, encoded as an address wants it.

        Raises:
            ReseenError: one is not set.
        """

        def value(found: re.Match[str]) -> str:
            if not (text := os.environ.get(found[1])):
                raise ReseenError(
                    f"camera {self.name} needs the environment's {found[1]}, which is not set"
                )
            return quote(text, safe="") if is_url(self.source) else text

        return VARIABLE.sub(value, self.source)


class Cameras(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"each": "camera"}):
    """The live cameras of a gallery, and how their people are found and embedded.

    Attributes:
        gallery: its folder or object-store URL.
        each: the cameras, [[camera]] in the file.
        detector, detector_input, min_length: as for `track`.
        model, style: what embeds, as for `gallery add`.
        keep_frames: whether the gallery keeps three small whole pictures of each tracklet.
        heads: whether thumbnails and whole pictures show heads as they are.
    """

    gallery: Annotated[str, Meta(min_length=1)]
    each: Annotated[tuple[Camera, ...], Meta(min_length=1)]
    detector: str | None = None
    detector_input: str | None = None
    min_length: Annotated[int, Meta(ge=1)] = MIN_LENGTH
    model: str | None = None
    style: str | None = None
    keep_frames: bool = False
    heads: bool = False

    @classmethod
    def read(cls, path: Path) -> "Cameras":
        """Read a cameras.toml; the gallery's path is one from the folder in which it lies.

        Raises:
            ReseenError: it cannot be read, says something unknown or names no camera or one twice.
        """
        try:
            found = msgspec.toml.decode(read_text(path, "utf-8-sig"), type=cls)
        except msgspec.ValidationError as error:
            raise ReseenError(f"{path}: {_mistake(error)}") from error
        except (ValueError, RecursionError) as error:
            raise ReseenError(f"{path} is not TOML: {error}") from error
        for camera in found.each:
            check_camera(camera.name)
            _ = camera.address  # what it needs of the environment must be there
        for name, times in Counter(camera.name for camera in found.each).items():
            if times > 1:
                raise ReseenError(f"{path}: {times} cameras are called {name}; give each its own")
        if is_url(found.gallery) or found.gallery.startswith("s3:"):  # mistyped: told when opened
            return found
        return msgspec.structs.replace(found, gallery=str(path.parent.absolute() / found.gallery))


def _mistake(error: msgspec.ValidationError) -> str:
    if unknown := UNKNOWN.fullmatch(str(error)):
        kind = Camera if unknown[2] else Cameras
        near = nearest(unknown[1], kind.__struct_encode_fields__)
        return f"nothing is called {unknown[1]!r}{unknown[2] or ''}{near}"
    return f"{error}; docs/tasks/cameras.md has an example"
