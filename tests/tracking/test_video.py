"""Reading videos, folders and cameras: every picture once, in order, and faults survived."""

import itertools
import re
import struct
import weakref
from pathlib import Path
from urllib.parse import unquote, urlsplit

import cv2
import numpy as np
import pytest

from reseen.errors import ReseenError
from reseen.tracking import video
from reseen.tracking.video import (
    Counts,
    expected_frames,
    frames_from,
    with_password,
    without_password,
)
from tests.tracking import motion_jpeg


def picture(level: int, height: int = 48, width: int = 64) -> np.ndarray:
    """A grey picture whose level says which frame it is."""
    return np.full((height, width, 3), level, np.uint8)


def write_video(path: Path, levels: list[int], code: str = "MJPG", fps: float = 12.5) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*code), fps, (64, 48))
    for level in levels:
        writer.write(picture(level))
    writer.release()
    return path


def textured_video(path: Path, count: int) -> Path:
    """Moving noise, so that every frame takes many bytes."""
    noise = np.random.default_rng(0).integers(0, 255, (120, 160, 3), dtype=np.uint8)
    noise = cv2.resize(noise[:24, :32], (160, 120))
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 12.5, (160, 120))
    for index in range(count):
        writer.write(np.roll(noise, 3 * index, axis=1))
    writer.release()
    return path


def levels(frames) -> list[int]:
    return [round(float(frame.picture.mean()) / 10) for frame in frames]


# Recordings


def test_every_frame_of_a_file_comes_once_with_its_time(tmp_path):
    path = write_video(tmp_path / "a.avi", [10, 20, 30, 40, 50, 60])
    counts = Counts()
    frames = list(frames_from(path, counts))
    assert levels(frames) == [1, 2, 3, 4, 5, 6]
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4, 5]
    np.testing.assert_allclose([frame.seconds for frame in frames], np.arange(6) / 12.5, atol=1e-6)
    assert counts == Counts(frames=6, sizes=((64, 48),))
    assert expected_frames(path) == 6


def test_pictures_are_red_green_blue(tmp_path):
    red = np.zeros((48, 64, 3), np.uint8)
    red[..., 2] = 255  # OpenCV writes blue, green, red
    cv2.imwrite(str(tmp_path / "1.png"), red)
    (frame,) = frames_from(tmp_path)
    assert frame.picture[0, 0].tolist() == [255, 0, 0]


def test_a_cut_off_file_ends_with_what_it_holds(tmp_path):
    whole = write_video(tmp_path / "whole.avi", list(range(0, 200, 5))).read_bytes()
    cut = tmp_path / "cut.avi"
    cut.write_bytes(whole[: len(whole) // 2])
    counts = Counts()
    frames = list(frames_from(cut, counts))
    assert 5 < len(frames) < 40
    assert [frame.index for frame in frames] == list(range(len(frames)))
    assert expected_frames(cut) == 40


def test_broken_frames_are_skipped_counted_and_keep_their_numbers(tmp_path):
    whole = bytearray(textured_video(tmp_path / "whole.mp4", 60).read_bytes())
    middle = len(whole) // 2
    whole[middle : middle + len(whole) // 8] = bytes(len(whole) // 8)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(whole)
    counts = Counts()
    frames = list(frames_from(broken, counts))
    assert counts.broken_frames > 0
    assert counts.frames + counts.broken_frames == 60
    assert frames[-1].index == 59
    assert all(a.seconds < b.seconds for a, b in itertools.pairwise(frames))


def half_and_half(height: int, width: int) -> np.ndarray:
    return np.hstack([picture(50, height, width // 2), picture(200, height, width // 2)])


def test_a_recording_whose_size_changes_is_scaled_to_its_first_size(tmp_path):
    # A stream of JPEG pictures, as cheap cameras send it, after a change of resolution.
    images = [half_and_half(48, 64)] * 2 + [half_and_half(96, 128)] * 2
    stream = tmp_path / "stream.mjpeg"
    stream.write_bytes(b"".join(cv2.imencode(".jpg", image)[1].tobytes() for image in images))
    pictures = [frame.picture for frame in frames_from(stream)]
    assert [image.shape for image in pictures] == [(48, 64, 3)] * 4
    for image in pictures:
        assert abs(image[:, :28].mean() - 50) < 5
        assert abs(image[:, 36:].mean() - 200) < 5


def test_pictures_of_a_folder_keep_their_own_sizes(tmp_path):
    cv2.imwrite(str(tmp_path / "1.png"), picture(50))
    cv2.imwrite(str(tmp_path / "2.png"), picture(50, 96, 128))
    counts = Counts()
    assert [frame.picture.shape[:2] for frame in frames_from(tmp_path, counts)] == [
        (48, 64),
        (96, 128),
    ]
    assert counts.sizes == ((64, 48), (128, 96))


def test_frames_are_not_kept(tmp_path):
    path = write_video(tmp_path / "a.avi", [10] * 20)
    alive = []
    for frame in frames_from(path):
        alive.append(weakref.ref(frame.picture))
        del frame
        assert sum(reference() is not None for reference in alive) <= 2


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "is empty"), (b"hello world\n" * 100, "is not a video"), (None, "does not exist")],
)
def test_what_is_not_a_video_is_named(tmp_path, content, message):
    path = tmp_path / "clip.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ReseenError, match=f"clip.mp4 {message}"):
        list(frames_from(path))


def test_the_real_video_is_read_whole(shared_data):
    path = shared_data / "one-by-one-person-detection.mp4"
    frames = list(itertools.islice(frames_from(path), 5))
    assert expected_frames(path) == 1394
    assert [frame.picture.shape for frame in frames] == [(432, 768, 3)] * 5
    np.testing.assert_allclose([frame.seconds for frame in frames], np.arange(5) / 10, atol=1e-6)


def zeroed(path: Path, frames: range) -> Path:
    """Overwrite some frames of an AVI with zeros."""
    content = bytearray(path.read_bytes())
    first, ends = content.index(b"movi"), content.rindex(b"idx1")
    starts = [found.start() + first for found in re.finditer(b"00dc", content[first:ends])] + [ends]
    for frame in frames:
        first, last = starts[frame] + 8, starts[frame + 1]
        content[first:last] = bytes(last - first)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("gap", [range(100, 260), range(0, 150), range(20, 21), range(5, 290)])
def test_a_long_gap_is_not_the_end(tmp_path, gap):
    path = zeroed(write_video(tmp_path / "a.avi", [20] * 150 + [200] * 150), gap)
    counts = Counts()
    frames = list(frames_from(path, counts))
    assert (counts.frames, counts.broken_frames, counts.cut_off) == (
        300 - len(gap),
        len(gap),
        False,
    )
    assert [frame.index for frame in frames] == [i for i in range(300) if i not in gap]


def test_only_what_ends_before_its_time_is_cut_off(tmp_path):
    whole = write_video(tmp_path / "whole.avi", list(range(0, 200, 5)))
    cut = tmp_path / "cut.avi"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    for path, expected in ((whole, False), (cut, True)):
        counts = Counts()
        list(frames_from(path, counts))
        assert counts.cut_off == expected


@pytest.mark.parametrize(("count", "cut_off"), [(7, False), (9, False), (40, False), (49, True)])
def test_an_estimated_count_is_compared_with_the_time(monkeypatch, tmp_path, count, cut_off):
    # Six frames at 10 a second on average, the last of which is shown at 3.9 s: a variable rate,
    # for which the count is estimated as 4 s * 10 = 40. At 49 one second is missing.
    class Slow(FakeCapture):
        stamps = (0.0, 100.0, 200.0, 300.0, 2000.0, 3900.0)

        def get(self, wanted: int) -> float:
            given = {cv2.CAP_PROP_FRAME_COUNT: count, cv2.CAP_PROP_FPS: 10.0}
            return given.get(wanted, self.stamps[5 - len(self.script)])

    (tmp_path / "a.mkv").write_bytes(b"any")
    monkeypatch.setattr(video, "_open_file", lambda path: Slow([10, 20, 30, 40, 50, 60]))
    counts = Counts()
    assert len(list(frames_from(tmp_path / "a.mkv", counts))) == 6
    assert counts.cut_off == cut_off


@pytest.mark.parametrize("name", ["2026-05-01T12:00:00.avi", "cam:1.avi", "file:a.avi", "-a.avi"])
def test_any_name_opens_from_its_own_folder(tmp_path, monkeypatch, name):
    write_video(tmp_path / name, [10, 20])
    monkeypatch.chdir(tmp_path)
    assert levels(frames_from(name)) == [1, 2]


ONE = 1 << 16
MATRICES = {
    "as it is": ((1, 0, 0, 1), lambda seen: seen),
    "turned by 180 degrees": ((-1, 0, 0, -1), lambda seen: seen[::-1, ::-1]),
    "mirrored": ((-1, 0, 0, 1), lambda seen: seen[:, ::-1]),
    "upside down": ((1, 0, 0, -1), lambda seen: seen[::-1]),
    "mirrored along the diagonal": ((0, 1, 1, 0), lambda seen: seen.transpose(1, 0, 2)),
    "along the other": ((0, -1, -1, 0), lambda seen: seen[::-1, ::-1].transpose(1, 0, 2)),
    "of nothing": ((0, 0, 0, 0), lambda seen: seen),
}


@pytest.mark.parametrize("matrix", MATRICES)
def test_pictures_are_shown_as_their_matrix_says(tmp_path, matrix):
    # Each quarter has its own level, so that each of the eight ways to lie is another picture.
    (a, b, c, d), expected = MATRICES[matrix]
    drawn = np.zeros((64, 96, 3), np.uint8)
    drawn[:32, 48:], drawn[32:, :48], drawn[32:, 48:] = 80, 160, 240
    path = tmp_path / "a.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 12.5, (96, 64))
    for _ in range(3):
        writer.write(drawn)
    writer.release()
    content = path.read_bytes()
    start = content.index(b"tkhd") + 4 + 40
    numbers = [a * ONE, b * ONE, 0, c * ONE, d * ONE, 0, 0, 0, 1 << 30]
    path.write_bytes(content[:start] + struct.pack(">9i", *numbers) + content[start + 36 :])
    seen = [frame.picture for frame in frames_from(path)]
    assert len(seen) == 3
    wanted = expected(drawn)
    assert seen[0].shape == wanted.shape
    assert np.abs(seen[0].astype(int) - wanted).mean() < 8


# Folders


def test_a_folder_is_read_in_natural_order_and_broken_pictures_are_skipped(tmp_path):
    for number in (1, 2, 10):
        cv2.imwrite(str(tmp_path / f"{number}.png"), picture(10 * number))
    (tmp_path / "3.png").write_bytes(b"no picture")
    (tmp_path / "notes.txt").write_text("no picture either")
    counts = Counts()
    frames = list(frames_from(tmp_path, counts, fps=5))
    assert levels(frames) == [1, 2, 10]
    assert [(frame.index, frame.seconds) for frame in frames] == [(0, 0.0), (1, 0.2), (3, 0.6)]
    assert (counts.frames, counts.broken_frames) == (3, 1)
    assert expected_frames(tmp_path) == 4


def test_a_folder_without_pictures_is_named(tmp_path):
    with pytest.raises(ReseenError, match="holds no pictures"):
        list(frames_from(tmp_path))


def test_a_folder_of_broken_pictures_is_named(tmp_path):
    (tmp_path / "1.png").write_bytes(b"no picture")
    with pytest.raises(ReseenError, match="no frame that can be read"):
        list(frames_from(tmp_path))


# Cameras


class FakeCapture:
    """A connection that gives pictures for numbers and fails for None."""

    def __init__(self, script: list[int | None], opened: bool = True, count: int = -1):
        self.script, self.opened, self.count, self.released = list(script), opened, count, False

    def isOpened(self) -> bool:
        return self.opened

    def get(self, wanted: int) -> float:
        return self.count if wanted == cv2.CAP_PROP_FRAME_COUNT else 0.0

    def read(self):
        level = self.script.pop(0) if self.script else None
        return level is not None, None if level is None else picture(level)

    def release(self) -> None:
        self.released = True


@pytest.fixture
def camera(monkeypatch):
    """Answers each attempt to connect with the next capture; time passes only by sleeping."""

    class Camera:
        now, pauses = 100.0, []

        def answers(self, *captures):
            waiting = iter(captures)
            monkeypatch.setattr(video, "_open_url", lambda url: next(waiting))

        def sleep(self, seconds):
            self.pauses.append(seconds)
            self.now += seconds

        def frames(self, counts):
            return frames_from("rtsp://camera/1", counts, sleep=self.sleep, clock=lambda: self.now)

    return Camera()


def test_a_lost_camera_is_tried_again_with_growing_pauses(camera):
    first, second = FakeCapture([10, 20]), FakeCapture([30])
    gone = [FakeCapture([], opened=False) for _ in range(3)]
    camera.answers(first, *gone, second, FakeCapture([40]))
    counts = Counts()
    frames = list(itertools.islice(camera.frames(counts), 4))
    assert levels(frames) == [1, 2, 3, 4]
    assert [frame.index for frame in frames] == [0, 1, 2, 3]
    assert camera.pauses == [1, 2, 4, 8, 1]  # the pause starts anew once a picture came
    assert [frame.seconds for frame in frames] == [0, 0, 15, 16]
    assert counts.reconnects == 2
    assert first.released


def test_what_waited_in_the_decoder_of_a_camera_that_is_cut_off_is_no_picture(camera, caplog):
    """OpenCV waits in vain, and then gives it as if it had just come."""

    class CutOff(FakeCapture):
        def read(self):
            camera.now += 0.2 if len(self.script) > 1 else video.CAMERA_TIMEOUT / 1000
            return super().read()

    camera.pauses.clear()
    camera.answers(CutOff([10, 20, 30]), FakeCapture([], opened=False), FakeCapture([40]))
    frames = list(itertools.islice(camera.frames(Counts()), 3))
    assert levels(frames) == [1, 2, 4]
    assert [frame.seconds for frame in frames] == pytest.approx([0.2, 0.4, 13.4])
    told = "rtsp://camera/1 sends no pictures any more; it is tried again"
    assert [record.message for record in caplog.records] == [told]


def test_pauses_stop_growing_at_a_minute(camera):
    camera.pauses.clear()
    gone = [FakeCapture([], opened=False) for _ in range(9)]
    camera.answers(FakeCapture([10]), *gone, FakeCapture([20]))
    assert len(list(itertools.islice(camera.frames(Counts()), 2))) == 2
    assert camera.pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]


def test_a_single_broken_frame_does_not_lose_the_camera(camera):
    camera.pauses.clear()
    camera.answers(FakeCapture([10, None, 30]))
    counts = Counts()
    frames = list(itertools.islice(camera.frames(counts), 2))
    assert [frame.index for frame in frames] == [0, 2]
    assert (counts.broken_frames, camera.pauses) == (1, [])


def test_a_url_with_an_end_is_a_recording(camera):
    camera.answers(FakeCapture([10, 20], count=2))
    assert levels(camera.frames(Counts())) == [1, 2]


@pytest.mark.parametrize(("url", "ends"), [("http://nas/v.mp4", True), ("rtsp://nas/live", False)])
def test_a_stream_is_live_though_it_says_how_long_it_lasts(monkeypatch, url, ends):
    monkeypatch.setattr(video, "_open_url", lambda _: FakeCapture([10, 20], count=2))
    assert video.opened(url)[1] is ends


def test_a_camera_that_never_answered_is_an_error_without_its_password(monkeypatch):
    monkeypatch.setattr(video, "_open_url", lambda url: FakeCapture([], opened=False))
    with pytest.raises(ReseenError, match=r"0\.9/live gives no pictures; .*password") as error:
        list(frames_from("rtsp://admin:secret@10.0.0.9/live"))
    assert "secret" not in str(error.value)


def test_a_real_connection_that_is_lost_is_taken_up_again():
    counts, pauses = Counts(), []
    with motion_jpeg.serving() as url:
        frames = list(itertools.islice(frames_from(url, counts, sleep=pauses.append), 8))
    assert levels(frames) == [1, 2, 3, 4, 1, 2, 3, 4]
    assert [frame.index for frame in frames] == list(range(8))
    assert (counts.reconnects, pauses) == (1, [1])


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://a:b@host:554/x?y=1", "rtsp://host:554/x?y=1"),
        ("rtsp://host/x", "rtsp://host/x"),
        ("folder/b@c.mp4", "folder/b@c.mp4"),
        ("http://h/v.cgi?password=geheim&y=1", "http://h/v.cgi?password=&y=1"),
        ("http://h/v.cgi?y=1&usr=geheim;pwd=geheim", "http://h/v.cgi?y=1&usr=;pwd="),
        ("http://h/v?Access_Token=geheim#x", "http://h/v?Access_Token=#x"),
        ("http://h/v?api-key=geheim==", "http://h/v?api-key="),
        ("rtsp://h/user=geheim&password=geheim&channel=1", "rtsp://h/user=&password=&channel=1"),
        ("rtsp://h:554/user=geheim_password=geheim_channel=1.sdp", "rtsp://h:554/user="),
        ("rtsp://geheim:ge@heim@h/?auth=geheim", "rtsp://h/?auth="),
        ("rtsp://a:geheim@[::1]:554/x", "rtsp://[::1]:554/x"),
        ("rtsp://a:geheim@[bad", "rtsp://[bad"),
    ],
)
def test_passwords_are_left_out(url, shown):
    assert without_password(url) == shown


@pytest.mark.parametrize(
    ("url", "whole"),
    [
        ("rtsp://ann@host:554/x?y=1", "rtsp://ann:p%40s%2Fs%3A@host:554/x?y=1"),
        ("rtsp://ann:old@host/x", "rtsp://ann:p%40s%2Fs%3A@host/x"),
        ("http://host", "http://:p%40s%2Fs%3A@host"),
    ],
)
def test_a_password_is_put_where_a_camera_looks_for_it(url, whole):
    assert with_password(url, "p@s/s:") == whole
    assert urlsplit(whole).hostname == "host"
    assert unquote(urlsplit(whole).password) == "p@s/s:"
    assert without_password(whole) == without_password(url)
