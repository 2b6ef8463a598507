import re
from base64 import b64decode

import numpy as np
import pytest

from reseen.data.pictures import decode_picture, encode_jpeg
from reseen.data.tracklet import Moment
from reseen.gallery.records import Filter

MORNING = 1_718_006_400.0
BOX = (0.25, 0.1, 0.5, 0.6)


@pytest.fixture
def kept(gallery):
    """Ada is in two whole pictures, at 12 s and 14 s of the film."""
    grey = encode_jpeg(np.full((200, 400, 3), 120, np.uint8), 90)
    moments = (Moment(12.0, BOX, grey), Moment(14.0, BOX, grey))
    gallery.frames.keep(["north/ada"], ["films/north.mp4"], [MORNING], [moments])


def test_whole_pictures_show_a_box_around_the_person(client, kept):
    page = client.get("/scene", params={"id": "north/ada"}).text
    pictures = re.findall(r"data:image/jpeg;base64,([^\"]+)", page)
    assert len(pictures) == 2
    picture = decode_picture(b64decode(pictures[0]), "a picture").astype(int)
    blue = picture[:, :, 2] - picture[:, :, 0] > 80
    rows, columns = np.flatnonzero(blue.any(axis=1)), np.flatnonzero(blue.any(axis=0))
    edges = (columns[0], rows[0], columns[-1], rows[-1])
    np.testing.assert_allclose(edges, (100, 20, 199, 119), atol=2)
    assert not blue[40:100, 120:180].any()


def test_pictures_are_gone_with_the_person(client, gallery, kept):
    gallery.forget(Filter(("north/ada",)))
    assert client.get("/scene", params={"id": "north/ada"}).status_code == 404
    assert gallery.frames.kept("north/ada") == []


def test_where_none_is_kept_that_is_said_and_appearances_lead_there(client):
    assert "No whole picture" in client.get("/scene", params={"id": "south/ben"}).text
    assert "/scene?id=south%2Fben" in client.get("/tracklet", params={"id": "south/ben"}).text
