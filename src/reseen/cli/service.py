"""The commands from video files and live cameras into a gallery."""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from reseen.cli.gallery import extractors_for, open_gallery
from reseen.cli.options import (
    Extractor,
    Gpus,
    Json,
    RayCluster,
    Style,
    save_result,
    spread,
    time_option,
    within,
)
from reseen.cli.tracking import DetectorInput, Start, require_date
from reseen.errors import ReseenError, many
from reseen.files import read_text
from reseen.progress import print_notes
from reseen.times import is_dated, show

if TYPE_CHECKING:
    from reseen.service.names import Video

From = Annotated[
    float | None,
    time_option("Only from then on: 0:02:05 into each recording, or 2026-05-01 12:00."),
]
To = Annotated[float | None, time_option("Only up to then.")]
NAMED = 3
"""Files that are named where many do not fit."""


def ingest(
    videos: list[Path] | None = None,
    *,
    files_from: Path | None = None,
    gallery: Annotated[str, Parameter(help="The gallery's folder or object-store URL.")],
    camera: str | None = None,
    camera_from: str | None = None,
    start: Start = None,
    from_: Annotated[From, Parameter(name="--from")] = None,
    to: To = None,
    every: Annotated[int, within(1)] = 1,
    detector: str | None = None,
    detector_input: DetectorInput = None,
    min_length: Annotated[int, within(1)] = 8,
    model: Extractor = None,
    style: Style = None,
    keep_crops: Path | None = None,
    keep_frames: bool = False,
    heads: bool = False,
    workers: Annotated[int, within(1)] = 1,
    ray: RayCluster = None,
    gpus: Gpus = 0.0,
    json: Json = None,
) -> int:
    """Take the people of videos into a gallery in one pass.

    Killed and called again, it goes on where it was. A video that cannot be read ends nothing: see
    `reseen gallery failures`. The exit code is 1 where there was one.

    Args:
        videos: Video files.
        files_from: Text file with a path on each line; empty lines and those with # in front
            count for nothing.
        camera: The camera's name, where the files' names do not tell.
        camera_from: How the files are named: '{camera}_{start}.mp4', or with folders
            '{camera}/*/{start}.mkv'; * stands for anything.
        every: Look at one frame of so many.
        detector: As for `reseen track`; by default the best that is here.
        detector_input: Order of colours and scale that an ONNX detector wants, where it is not its
            family's.
        min_length: Who is seen in fewer frames is left out.
        keep_crops: Folder for the crops, a folder for each video as `reseen track` writes them;
            without it no crop is written.
        keep_frames: Keep three small whole pictures of each tracklet in the gallery, with all heads
            pixelated, to show where somebody was; they are forgotten with everybody who is on them.
        heads: Store thumbnails with heads as they are; they are pixelated otherwise.
        workers: So many processes of this machine share the videos among them.
    """
    from reseen.data.colour_histogram import STRIPES
    from reseen.gallery.upkeep import caught_up
    from reseen.service.incoming import Keeping, Settings
    from reseen.service.ingest import ingest, ingest_shared
    from reseen.tracking.track import LYING

    if from_ is not None and to is not None and is_dated(from_) == is_dated(to) and to < from_:
        raise ReseenError(f"--to {show(to)} is before --from {show(from_)}")
    paths = [*(videos or []), *_listed(files_from)]
    if not paths:
        raise ReseenError("name videos, or a file that lists them, --files-from FILE")
    found = _recordings(paths, camera, camera_from, start)
    settings = Settings(detector, detector_input, from_, to, every, min_length)
    opened = open_gallery(gallery, create=True)
    extractors = extractors_for(opened, model, style)
    print_notes(f"people are embedded by {', '.join(each.model_id for each in extractors)}")
    names = dict.fromkeys([(model or extractors[0].model_id, style), (STRIPES, None)])
    take_in = (
        partial(ingest, extractors=extractors)
        if workers == 1 and ray is None
        else partial(ingest_shared, models=list(names), spread=spread(workers, ray, gpus))
    )
    done = take_in(
        opened, found, settings=settings, keeping=Keeping(keep_crops, keep_frames, not heads)
    )
    save_result(json, done)
    print(
        f"{gallery}: {many(done.videos, 'video')}, {many(done.frames, 'frame')}, "
        f"{many(done.added, 'tracklet')} added"
    )
    counts = {
        "videos that were in the gallery before": done.before,
        "videos that could not be read; see reseen gallery failures": done.failed,
        "tracklets that were there before": done.present,
        "tracklets left out because they were forgotten": done.forgotten,
        "broken frames skipped": done.broken_frames,
        "people seen in too few frames": done.too_short,
        "left out because they never stirred": done.still,
    }
    notes = caught_up(opened, extractors[0]) if done.added else []
    notes += [f"{what}: {count:,}" for what, count in counts.items() if count]
    notes += [f"{source} ends before its time" for source in done.cut_off]
    notes += [f"{source}: {LYING}" for source in done.lying]
    print_notes(*notes, *done.left_out)
    return int(done.failed > 0)


def _listed(file: Path | None) -> list[Path]:
    """The videos that a text file lists."""
    if file is None:
        return []
    lines = [line.strip() for line in read_text(file, "utf-8-sig").splitlines()]
    return [Path(line) for line in lines if line and not line.startswith("#")]


def _recordings(
    paths: Sequence[Path], camera: str | None, pattern: str | None, start: float | None
) -> "list[Video]":
    """What the files are said to be, or their names say; tells what was understood."""
    from reseen.service.names import NamePattern, Video
    from reseen.tracking.track import check_camera

    require_date(start)
    if start is not None and (pattern is not None or len(paths) > 1):
        raise ReseenError(
            "--start is one recording's; for several, say how their names tell it, such as "
            "--camera-from '{camera}_{start}.mp4'"
        )
    named = NamePattern(pattern) if pattern is not None else None
    if (camera is None) != (named is not None and named.names_camera):
        raise ReseenError(
            "name the camera, --camera NAME, or say how the files' names tell it, such as "
            "--camera-from '{camera}_{start}.mp4'; not both"
        )
    if camera is not None:
        check_camera(camera)
    absolute = [path.absolute() for path in paths]
    if named is None:
        return [Video(path, camera or "", start) for path in absolute]
    understood = [named.understand(path, camera) for path in absolute]
    strange = [path.name for path, each in zip(paths, understood, strict=True) if each is None]
    found = [each for each in understood if each is not None]
    some = ", ".join(strange[:NAMED]) + (", …" if len(strange) > NAMED else "")
    if not found:
        raise ReseenError(f"no file's name fits {pattern}: {some}")
    cameras = Counter(each.camera for each in found)
    listed = ", ".join(f"{name} ({count:,})" for name, count in sorted(cameras.items()))
    first = found[0]
    print_notes(
        f"cameras and their videos: {listed}",
        f"{first.path.name} is of {first.camera} from {show(first.start)}",
        *([f"{len(strange):,} do not fit {pattern} and are left out: {some}"] if some else []),
    )
    return found


def watch(cameras: Path, *, health: str | None = None) -> None:
    """Take the people of live cameras into a gallery, until Ctrl-C or SIGTERM.

    Each camera is watched by a process of its own, which is started again should it die. Somebody
    can be searched for within seconds of leaving the picture, and every 30 seconds while staying.

    Args:
        cameras: TOML file that names the gallery and the cameras.
        health: HOST:PORT at which /healthz and Prometheus' /metrics are answered, to anybody who
            can reach it; 127.0.0.1:9100 is reached from this machine only.
    """
    from reseen.service.cameras import Cameras
    from reseen.service.watch import watch

    watch(Cameras.read(cameras), health)
