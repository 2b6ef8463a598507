"""What the names of video files tell: the camera, and when the recording began."""

import re
from dataclasses import dataclass
from pathlib import Path, PurePath

from reseen.errors import ReseenError
from reseen.times import read

START = (
    r"(?P<start>(?P<date>\d{4}-?\d\d-?\d\d)[T_ -]?(?P<time>\d\d[.:-]?\d\d(?:[.:-]?\d\d)?)(?P<z>Z?))"
)
PARTS = {"{camera}": r"(?P<camera>\w[\w.-]*)", "{start}": START, "*": r"[^/]*?"}


@dataclass(frozen=True, slots=True)
class Video:
    """A recording.

    Attributes:
        start: when it began, in seconds since 1970; None where that is not known.
    """

    path: Path
    camera: str
    start: float | None = None


class NamePattern:
    """How files are named, such as `{camera}_{start}.mp4` or `{camera}/*/{start}.mkv`.

    Attributes:
        text: the pattern: {camera} and {start} stand for what they say, * for anything, and with
            every slash a folder more is looked at.
        names_camera: whether it tells the camera.
    """

    def __init__(self, text: str) -> None:
        parts = re.findall(r"\{[^}]*\}|\*|[^{*]+|\{", text)
        named = [part for part in parts if part.startswith("{")]
        for part in named:
            if part not in PARTS or named.count(part) > 1:
                raise ReseenError(
                    f"the pattern {text} has {part}; it may have {{camera}} and {{start}}, once "
                    "each, and * for anything"
                )
        if not named:
            raise ReseenError(f"the pattern {text} has neither {{camera}} nor {{start}}")
        self.text, self.names_camera = text, "{camera}" in named
        self._expression = "".join(PARTS.get(part) or re.escape(part) for part in parts)

    def understand(self, path: Path, camera: str | None) -> Video | None:
        """What a file's name tells; None where it does not fit the pattern.

        Args:
            camera: the camera's name, where the pattern does not tell.
        """
        tail = PurePath(*path.parts[-1 - self.text.count("/") :]).as_posix()
        found = re.fullmatch(self._expression, tail)
        if found is None:
            return None
        told = found.groupdict()
        try:
            start = _start(found) if "start" in told else None
        except ReseenError:  # no such day, or an hour that clocks jump over
            return None
        return Video(path, told.get("camera") or camera or "", start)


def _start(found: re.Match[str]) -> float:
    """The moment, on this machine's local clock unless a Z says UTC."""
    year, month, day = re.fullmatch(r"(\d{4})-?(\d\d)-?(\d\d)", found["date"]).groups()  # type: ignore[union-attr]
    clock = ":".join(re.findall(r"\d\d", found["time"]))
    return read(f"{year}-{month}-{day} {clock}{found['z']}")
