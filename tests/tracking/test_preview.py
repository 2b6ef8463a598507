"""The film of what was followed."""

import numpy as np
import pytest

from reseen.errors import ReseenError
from reseen.tracking import video
from reseen.tracking.preview import check_film, filmed
from reseen.tracking.tracker import Followed
from reseen.tracking.video import Frame


def scenes(count: int, stop: type[BaseException] | None = None, fps: float = 5.0):
    """A grey video in which person 1 stands at 40 ... 80, 20 ... 90."""
    for index in range(count):
        person = Followed(1, np.array([40, 20, 80, 90], np.float32), 0.9)
        picture = np.full((120, 160, 3), 128, np.uint8)
        yield Frame(index, index / fps, picture), [person], {1}
    if stop is not None:
        raise stop


@pytest.mark.parametrize("name", ["out.mp4", "out.AVI"])
@pytest.mark.parametrize("count", [1, 2, 12])
def test_every_frame_is_shown_with_its_boxes(tmp_path, name, count):
    assert len(list(filmed(scenes(count), tmp_path / name, live=False))) == count
    shown = list(video.frames_from(tmp_path / name))
    assert len(shown) == count
    if count > 1:
        assert shown[1].seconds == pytest.approx(0.2, abs=0.01)
    for frame in shown:
        assert frame.picture.shape == (120, 160, 3)
        differs = np.abs(frame.picture.astype(int) - 128).max(axis=2) > 60
        assert differs[30:80, [40, 80]].mean() > 0.9  # both sides of the box
        assert differs[40:70, 50:70].mean() < 0.1


def test_a_live_film_ends_where_it_is_stopped_and_another_is_dropped(tmp_path):
    list(filmed(scenes(4, KeyboardInterrupt), tmp_path / "live.avi", live=True))
    assert len(list(video.frames_from(tmp_path / "live.avi"))) == 4
    for error in (KeyboardInterrupt, ReseenError):
        with pytest.raises(error):
            list(filmed(scenes(4, error), tmp_path / "file.avi", live=False))
    assert [path.name for path in tmp_path.iterdir()] == ["live.avi"]


def test_frames_of_another_size_are_fitted(tmp_path):
    def growing():
        for frame, people, all_people in scenes(4):
            larger = np.full((240, 320, 3), 128, np.uint8) if frame.index > 1 else frame.picture
            yield Frame(frame.index, frame.seconds, larger), people, all_people

    list(filmed(growing(), tmp_path / "a.avi", live=False))
    assert {frame.picture.shape for frame in video.frames_from(tmp_path / "a.avi")} == {
        (120, 160, 3)
    }


def test_a_name_must_say_the_kind_of_film(tmp_path):
    with pytest.raises(ReseenError, match=r"a\.txt is no name for a film; .* \.mp4 or \.avi"):
        check_film(tmp_path / "a.txt")
