"""The command from video to tracklets."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from reseen.cli.options import Json, save_result, secret, time_option, within
from reseen.errors import ReseenError, many
from reseen.progress import print_notes
from reseen.times import is_dated, show

Start = Annotated[
    float | None,
    time_option("When the recording began, 2026-05-01 12:00, so that cameras can be compared."),
]

DetectorInput = (
    Literal["bgr-255", "rgb-255", "rgb-1", "bgr-1", "rgb-imagenet", "bgr-imagenet"] | None
)


def track(
    source: str,
    *,
    camera: str,
    out: Path,
    detector: str | None = None,
    detector_input: DetectorInput = None,
    boxes: Path | None = None,
    classes: Annotated[list[int] | None, Parameter(negative="")] = None,
    frames_from: Literal[0, 1] | None = None,
    start: Start = None,
    fps: Annotated[float, within(0, above=True)] = 25.0,
    min_length: Annotated[int, within(1)] = 8,
    password_file: Path | None = None,
    preview: Path | None = None,
    json: Json = None,
) -> None:
    """Find, follow and cut out the people in a video.

    Args:
        source: A video file, a folder of pictures, or the URL of a camera.
        camera: A name for it.
        out: Folder for the tracklets.
        detector: hog (built in, needs no download), a detector of `reseen models list` that was
            loaded, the path of an ONNX person detector, or package.module:function. By default
            the best that is here.
        detector_input: Order of colours and scale that an ONNX detector wants, where it is not its
            family's.
        boxes: Boxes that another tool found, as MOT text, JSON (COCO too) or CVAT's XML, instead of
            a detector.
        classes: Numbers of the classes in these boxes that are people, where it is not 0 or 1.
        frames_from: Number of the first frame in these boxes, where it cannot be seen.
        fps: Frames per second of a folder of pictures.
        min_length: Who is seen in fewer frames is left out.
        password_file: File whose first line is a camera's password, so that it need not stand in
            the URL; or set RESEEN_CAMERA_PASSWORD.
        preview: Film, .mp4 or .avi, that shows the people with their boxes.
    """
    from reseen.tracking.track import LYING, track
    from reseen.tracking.video import is_url, with_password

    require_date(start)
    password = secret(password_file, "RESEEN_CAMERA_PASSWORD") if is_url(source) else None
    report = track(
        source if password is None else with_password(source, password),
        camera,
        out,
        detector=detector,
        detector_input=detector_input,
        boxes=boxes,
        classes=classes,
        first_frame=frames_from,
        start=None if start is None else datetime.fromtimestamp(start, UTC),
        fps=fps,
        min_length=min_length,
        preview=preview,
    )
    save_result(json, report)
    tracklets, crops = many(report.tracklets, "tracklet"), many(report.crops, "crop")
    expected = f", of {report.expected_frames:,}" if report.cut_off else ""
    print(f"{out}: {tracklets}, {crops}, {many(report.frames, 'frame')}{expected}")
    counts = {
        "broken frames skipped": report.broken_frames,
        "times the camera was lost and found": report.reconnects,
        "boxes outside the picture dropped": report.boxes_dropped,
        **{f"boxes left out, {why}": count for why, count in report.boxes_left_out.items()},
        "people seen in too few frames": report.too_short,
        "left out because they never stirred": report.still,
    }
    notes = [*report.notes, *(f"{what}: {count:,}" for what, count in counts.items() if count)]
    if report.lying:
        notes.append(LYING)
    if report.tracklets == report.too_short == report.still == 0:
        notes.append(
            "nobody was found: is anybody in sight, and as large as this detector needs "
            "(hog: 64 pixels)? An ONNX detector may want other colours (--detector-input), or "
            "count its classes in another way"
        )
    print_notes(*notes)


def require_date(start: float | None) -> None:
    """Refuse a recording's beginning that is no moment in the world."""
    if start is not None and not is_dated(start):
        raise ReseenError(f"--start {show(start)} is no date; write 2026-05-01 12:00")
