from base64 import b64decode

import cv2
import numpy as np
import pytest

from reseen.data.coding import unpack_pictures
from reseen.data.pictures import encode_jpeg
from reseen.report.pictures import data_uri, enlarged, middle_pictures


@pytest.mark.parametrize(
    ("length", "count", "step", "places"),
    [(9, 1, 1, [4]), (9, 3, 1, [3, 4, 5]), (9, 3, 3, [1, 4, 7]), (3, 4, 1, [2, 0, 1, 2])],
)
def test_frames_lie_around_the_middle_and_start_over(make_store, length, count, step, places):
    store = make_store([(1, 1, 4), (1, 2, length)])
    expected = unpack_pictures(store.tracklet(1)[places])
    np.testing.assert_array_equal(middle_pictures(store, 1, count, step), expected)


def test_enlarging_keeps_colours_and_proportions():
    picture = np.full((64, 48, 3), (200, 100, 50), np.uint8)
    larger = enlarged(picture, 3)
    assert larger.shape == (192, 144, 3)
    assert (larger == (200, 100, 50)).all()


def test_a_picture_survives_its_address_with_red_still_red():
    picture = np.full((64, 48, 3), (200, 30, 30), np.uint8)
    kind, _, text = data_uri(encode_jpeg(picture, 84)).partition(",")
    assert kind == "data:image/jpeg;base64"
    decoded = cv2.imdecode(np.frombuffer(b64decode(text), np.uint8), cv2.IMREAD_COLOR_RGB)
    assert np.abs(decoded.astype(int) - picture).max() < 6


def test_an_address_tells_png_from_jpeg():
    assert data_uri(b"\x89PNG\r\n").startswith("data:image/png;")
