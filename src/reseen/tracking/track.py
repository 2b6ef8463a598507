"""From raw video to tracklets: people found, followed, cut out and written."""

import math
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from reseen.data.tracked import BOXES_FILE, TRACKLETS_FILE, UNFINISHED, Entry, Listed
from reseen.errors import ReseenError
from reseen.files import claim, locked, write_json, writing
from reseen.progress import progress
from reseen.tracking.cutting import MIN_LENGTH, Cutter, Growing
from reseen.tracking.detections import Detections, Detector
from reseen.tracking.detectors import best_detector, journalled, open_detector, settings_of
from reseen.tracking.mot import read_boxes
from reseen.tracking.preview import check_film, filmed
from reseen.tracking.tracker import Followed, Scene, Tracker
from reseen.tracking.video import (
    Counts,
    Frame,
    expected_frames,
    frames_from,
    is_url,
    without_password,
)

SECONDS_BETWEEN_LISTS = 60.0
"""A live camera has no end to wait for, so its finished tracklets are listed this often."""

LYING = (
    "most people are wider than high: is the picture turned, are people seen from above, or does "
    "the detector's file give y before x?"
)

TRACKLET_NAME = re.compile(r".+-\d{6,}")


@dataclass
class TrackReport(Counts):
    """What became of a video.

    Attributes:
        source, camera: the video and the name of its camera.
        out: the folder with the tracklets.
        expected_frames: how many the source says it has, or is estimated to have from how long it
            lasts; None when it does not say.
        boxes_left_out: boxes of a given file that were left out, by reason.
        notes: what was chosen for the user, or told from the numbers of a given file.
    """

    source: str
    camera: str
    out: Path
    expected_frames: int | None = None
    boxes_left_out: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def track(
    source: str | Path,
    camera: str,
    out: Path,
    *,
    detector: str | Detector | None = None,
    detector_input: str | None = None,
    boxes: Path | None = None,
    classes: Sequence[int] | None = None,
    first_frame: int | None = None,
    start: datetime | None = None,
    fps: float = 25.0,
    min_length: int = MIN_LENGTH,
    preview: Path | None = None,
) -> TrackReport:
    """Find, follow and cut out the people in a video.

    Writes `OUT/<tracklet id>/<frame>.jpg`, the boxes as MOT text in `OUT/tracks.txt`, and, at the
    very end, `OUT/tracklets.json`. Frames are numbered from 1 there. Memory is constant. Stopped
    or killed on the way and called again with the same detector by name, it goes on: what was found
    is not searched for again.

    A live camera is read until the program is interrupted, which ends it properly. Its finished
    tracklets are listed once a minute, so that a gallery can take them in meanwhile and nothing of
    what is listed is lost with the power; called again, it adds to them, and has a file of boxes
    for each recording.

    Args:
        source: a video file, a folder of pictures, or the URL of a camera or video.
        camera: its name, of letters, digits, ".", "_" and "-".
        out: an empty or new folder.
        detector: a name for `open_detector`, or a function from a picture to `Detections`; None
            takes the best that is here.
        detector_input: colours and scale that an ONNX detector wants; None takes its family's.
        boxes: a file with the people's boxes, as `read_boxes` reads it, instead of a detector.
            Where the boxes have ids, people are not followed anew.
        classes: those of `boxes` that are people, where the file does not say it.
        first_frame: the number that `boxes` gives the first frame.
        start: when the recording began, so that times can be compared between cameras; local
            time unless it says otherwise. A live camera starts now.
        fps: frames per second of a source that has no times of its own.
        min_length: who is seen in fewer frames is left out.
        preview: a film, .mp4 or .avi, that shows the people with their boxes.

    Raises:
        ReseenError: bad input, or the folder cannot be written.
    """
    _check(camera, fps, min_length, preview)
    live = is_url(source)
    given = None if boxes is None else read_boxes(boxes, classes, first_frame)
    best, about = best_detector()
    notes = given.notes if given else () if detector else (about,)
    detector = detector or best
    settings = {**settings_of(source, detector, detector_input), "fps": fps}
    if isinstance(detector, str) and not given:
        detector = open_detector(detector, detector_input)
    expected, name = expected_frames(source), without_password(source)
    report = TrackReport(name, camera, out, expected, notes=notes)
    with locked(out):
        people = given.people if given else None
        cutter = Cutter(min_length, report, keep_numbers=people is not None)
        folder = TrackletFolder(out, source, camera, cutter, start, preview)
        detect, journal = cast(Detector, detector), out / UNFINISHED
        found_in = given.found_in if given else journalled(detect, journal, settings)
        searched = ((frame, found_in(frame)) for frame in frames_from(source, report, fps=fps))
        scenes = followed(searched) if people is None else _numbered(searched, people)

        def write_list() -> None:
            if given:
                report.boxes_left_out = given.unused(report.frames + report.broken_frames)
            folder.write_list(report)

        shown = filmed(scenes, preview, live) if preview else scenes
        _cut_out(shown, expected, folder, write_list if live else None)
        write_list()
        folder.finish()
    return report


def check_camera(camera: str) -> None:
    """Check that a text can name a camera."""
    if not re.fullmatch(r"\w[\w.-]*", camera):
        raise ReseenError(f"{camera!r} cannot name a camera; use letters, digits, '.', '_' and '-'")


def _check(camera: str, fps: float, min_length: int, preview: Path | None) -> None:
    check_camera(camera)
    if not 0 < fps < math.inf:
        raise ReseenError(f"{fps} frames per second are not possible; give a number above 0")
    if min_length < 1:
        raise ReseenError(f"a tracklet of {min_length} frames is not possible; give 1 or more")
    if preview is not None:
        check_film(preview)


def prefix_of(source: str | Path, camera: str, begun: datetime | None) -> str:
    """What sets a recording's tracklets apart from those of other recordings of its camera."""
    name = Path(source).resolve().stem if begun is None else f"{begun:%Y%m%dT%H%M%SZ}"
    return f"{camera}-{re.sub(r'[^0-9A-Za-z_.]+', '_', name)}"


def followed(searched: Iterable[tuple[Frame, Detections]]) -> Iterator[Scene]:
    """Follow from frame to frame those who were found in each."""
    tracker = Tracker()
    for frame, found in searched:
        people = tracker.update(frame.seconds, found, frame.picture)
        yield frame, people, tracker.people, found


def _numbered(
    searched: Iterable[tuple[Frame, Detections]], people: Mapping[int, NDArray[np.int64]]
) -> Iterator[Scene]:
    """Take over the numbers that another tool gave to the people."""
    last = {person: index for index in sorted(people) for person in people[index].tolist()}
    to_come = set(last)
    for frame, found in searched:
        numbers = people[frame.index].tolist() if len(found) else []
        seen = zip(numbers, found.boxes, found.scores, strict=True)
        to_come.difference_update(person for person in numbers if last[person] == frame.index)
        followed = [Followed(person, box, float(score)) for person, box, score in seen]
        yield frame, followed, to_come, found


def _cut_out(
    scenes: Iterator[Scene],
    expected: int | None,
    folder: "TrackletFolder",
    live: Callable[[], object] | None,
) -> None:
    """Cut people out of all frames.

    `live` lists what is finished of a live camera, which may be interrupted; None for others.
    """
    listed = 0.0
    with progress("tracking", expected, "frames") as advance:
        try:
            for frame, people, to_come, _ in scenes:
                folder.add(frame, people)
                folder.end_all_but(to_come)
                if live and frame.seconds - listed >= SECONDS_BETWEEN_LISTS:
                    live()
                    listed = frame.seconds
                advance(1)
        except KeyboardInterrupt:
            if not live:
                raise
    folder.end_all_but(set())


class TrackletFolder:
    """Writes crops, boxes and, in the end, the list of them while people are followed.

    Who is seen in too few frames leaves nothing on disk.

    Attributes:
        cutter: cuts the people out.
        prefix: what the tracklets' names begin with.
        tracklets: those that are on disk, in the order in which they became long enough.
    """

    def __init__(
        self,
        folder: Path,
        source: str | Path,
        camera: str,
        cutter: Cutter,
        start: datetime | None = None,
        film: Path | None = None,
    ) -> None:
        """Begin in an empty or new folder; what a run left there that listed nothing is removed.

        What is listed of earlier recordings of the same live camera stays.
        """
        live = is_url(source)
        begun = start.astimezone(UTC) if start else datetime.now(UTC) if live else None
        self.cutter, self.tracklets = cutter, list[Growing]()
        self._folder, self._film = folder, str(film.resolve()) if film else msgspec.UNSET
        name = without_password(source)
        self._listed = Listed(source=name, camera=camera, start=begun, tracklets=[])
        earlier = live and (folder / TRACKLETS_FILE).exists()
        if earlier:
            self._listed = Listed.read(folder)
            if (self._listed.source, self._listed.camera) != (name, camera):
                raise ReseenError(f"{folder} is not empty; it holds another camera's tracklets")
        while live and begun and any(folder.glob(f"*-{begun:%Y%m%dT%H%M%SZ}-*")):
            begun += timedelta(seconds=1)
        first = self._listed.start or begun
        self._shift = (begun - first).total_seconds() if begun and first else 0.0
        self.prefix = prefix_of(source, camera, begun)
        recording = self.prefix.removeprefix(f"{camera}-")
        self._boxes = folder / (f"tracks-{recording}.txt" if live else BOXES_FILE)
        with writing(folder):
            _clear(folder, {entry.id for entry in self._listed.tracklets} if earlier else None)
            self._boxes.touch()

    @property
    def ended(self) -> list[Growing]:
        """Those of the tracklets on disk whose person is gone."""
        return [tracklet for tracklet in self.tracklets if tracklet.ended]

    def add(self, frame: Frame, people: list[Followed]) -> None:
        """Cut the people out of a frame, and write the crops of those seen often enough."""
        for tracklet in self.cutter.add(frame, people):
            self.write(tracklet)

    def end_all_but(self, people: Set[int]) -> None:
        """End the tracklets of everybody else; what never stirred was nobody, and is removed."""
        _, nobody = self.cutter.end_all_but(people)
        for tracklet in nobody:
            self.tracklets.remove(tracklet)
            with writing(self._folder):
                shutil.rmtree(self._folder / tracklet.name(self.prefix))
                lines = self._boxes.read_text(encoding="utf-8").splitlines(keepends=True)
                others = [line for line in lines if line.split(",")[1] != str(tracklet.number)]
                self._boxes.write_text("".join(others), encoding="utf-8")

    def write_list(self, report: TrackReport) -> None:
        """Write the list of those who are gone, with a report of it all."""
        listed = self._listed
        added = [
            Entry(
                id=tracklet.name(self.prefix),
                source=listed.source,
                camera=listed.camera,
                start_seconds=tracklet.start_seconds + self._shift,
                end_seconds=tracklet.end_seconds + self._shift,
                crops=tracklet.given,
                first_frame=tracklet.first_frame + 1,
                last_frame=tracklet.last_frame + 1,
                cut=tuple(tracklet.cut),
                film=self._film,
            )
            for tracklet in self.ended
        ]
        every = msgspec.structs.replace(
            listed, tracklets=[*listed.tracklets, *added], counts=asdict(report)
        )
        write_json(self._folder / TRACKLETS_FILE, msgspec.to_builtins(every, enc_hook=str))

    def finish(self) -> None:
        """Say that everything is written; before, the folder counts as unfinished."""
        (self._folder / UNFINISHED).unlink(missing_ok=True)

    def write(self, tracklet: Growing) -> list[Path]:
        """Write a tracklet's crops that wait in memory; returns their files."""
        folder, crops, files = self._folder / tracklet.name(self.prefix), tracklet.give(), []
        with writing(self._folder):
            if len(crops) == tracklet.given:  # the first ones
                self.tracklets.append(tracklet)
                folder.mkdir()
            with self._boxes.open("a", encoding="utf-8") as boxes:
                for crop in crops:
                    files.append(folder / f"{crop.frame + 1:06d}.jpg")
                    files[-1].write_bytes(crop.jpeg)
                    left, top, right, bottom = crop.box.tolist()
                    box = f"{left:.2f},{top:.2f},{right - left:.2f},{bottom - top:.2f}"
                    line = f"{crop.frame + 1},{tracklet.number},{box},{crop.score:.4f},-1,-1,-1\n"
                    boxes.write(line)
        return files


def _clear(folder: Path, kept: Set[str] | None) -> None:
    """Make room, or remove what a run left that was stopped; what is `kept` stays."""
    folder.mkdir(parents=True, exist_ok=True)
    if kept is None:
        if (folder / TRACKLETS_FILE).exists():
            raise ReseenError(f"{folder} is not empty; choose another folder or delete it first")
        claim(folder, UNFINISHED)
    (folder / UNFINISHED).touch()
    for entry in folder.iterdir():
        left = TRACKLET_NAME.fullmatch(entry.name) and entry.name not in (kept or ())
        if left and entry.is_dir():
            shutil.rmtree(entry)
        elif entry.name == BOXES_FILE:
            entry.unlink()
