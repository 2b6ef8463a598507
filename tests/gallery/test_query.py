import cv2
import numpy as np
import pytest

from reseen.data.colour_histogram import ColourHistogram
from reseen.errors import ReseenError
from reseen.gallery.query import Box, pictures_in, pictures_in_video, query_from_pictures


@pytest.fixture
def film(tmp_path, draw_person):
    """A folder of pictures in which a person walks 3 pixels to the right in every frame."""
    folder = tmp_path / "film"
    folder.mkdir()
    ground = np.random.default_rng(0).integers(90, 150, (140, 400, 3), np.uint8)
    person = draw_person(1)
    for number in range(80):
        picture = ground.copy()
        picture[20:116, 10 + 3 * number : 58 + 3 * number] = person
        cv2.imwrite(str(folder / f"{number:03}.png"), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    return folder


def test_a_box_follows_the_person_for_two_seconds(film, draw_person):
    pictures = pictures_in_video(film, 0.0, Box(10, 20, 48, 96))
    assert len(pictures) == 51  # 2 s at 25 pictures a second, both ends included
    for picture in pictures:
        np.testing.assert_array_equal(picture, draw_person(1))


def test_following_starts_at_the_time_asked_for(film, draw_person):
    pictures = pictures_in_video(film, 1.0, Box(10 + 3 * 25, 20, 48, 96))
    np.testing.assert_array_equal(pictures[0], draw_person(1))
    np.testing.assert_array_equal(pictures[-1], draw_person(1))


def test_following_ends_where_the_person_is_lost(film):
    for number in range(20, 80):
        picture = np.random.default_rng(number).integers(0, 256, (140, 400, 3), np.uint8)
        cv2.imwrite(str(film / f"{number:03}.png"), picture)
    assert len(pictures_in_video(film, 0.0, Box(10, 20, 48, 96))) == 20


def test_following_ends_where_the_pictures_size_changes(film):
    for number in range(10, 80):
        cv2.imwrite(str(film / f"{number:03}.png"), np.zeros((50, 60, 3), np.uint8))
    assert len(pictures_in_video(film, 0.0, Box(10, 20, 48, 96))) == 10


@pytest.mark.parametrize(
    "box", [Box(-1, 20, 48, 96), Box(10, 50, 48, 96), Box(390, 0, 48, 96), Box(0, 0, 4, 96)]
)
def test_a_box_must_lie_in_the_picture(film, box):
    with pytest.raises(ReseenError, match=r"must lie in the picture of .*film, 400x140"):
        pictures_in_video(film, 0.0, box)


def test_a_time_after_the_end_is_refused(film):
    with pytest.raises(ReseenError, match="ends before 99 s"):
        pictures_in_video(film, 99.0, Box(10, 20, 48, 96))


def test_pictures_make_the_query_that_their_tracklet_makes(draw_person):
    pictures = [draw_person(1, frame) for frame in range(4)]
    query = query_from_pictures(pictures, ColourHistogram(), "uploaded")
    assert (query.model, query.name) == ("stripes", "uploaded")
    np.testing.assert_array_equal(query.embedding, ColourHistogram().embed([pictures])[0])
    assert query.beside == {}


def test_another_models_query_has_colours_beside_its_embedding(draw_person):
    class Constant:
        model_id, dimensions = "constant", 3

        def embed(self, tracklets):
            return np.ones((len(list(tracklets)), 3), np.float32)

    query = query_from_pictures([draw_person(1)], Constant(), "uploaded")
    assert query.embedding.tolist() == [1, 1, 1]
    assert query.beside["stripes"].shape == (128,)


def test_a_folder_without_pictures_is_no_query(tmp_path):
    with pytest.raises(ReseenError, match="no picture in"):
        pictures_in(tmp_path)
