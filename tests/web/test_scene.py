import os
import re
from base64 import b64decode
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from reseen.data.pictures import decode_picture, encode_jpeg
from reseen.data.tracklet import Moment
from reseen.gallery.records import Filter
from reseen.web import scene as module

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


def blue_columns(picture):
    picture = np.asarray(picture).astype(int)
    blue = (picture[:, :, 2] - picture[:, :, 0] > 80) & (picture[:, :, 1] < 140)
    columns = np.flatnonzero(blue.sum(axis=0) > 60)
    return columns[0], columns[-1]


def test_where_no_picture_was_kept_the_recording_that_is_still_there_shows_the_person(
    client, recorded
):
    """At the moment of the largest box, with everybody's head hidden."""
    page = client.get("/scene", params={"id": "yard/eve"}).text
    (still,) = re.findall(r"data:image/jpeg;base64,([^\"]+)", page)
    picture = decode_picture(b64decode(still), "a picture")
    np.testing.assert_allclose(blue_columns(picture), (178, 217), atol=3)
    assert picture[12:28, 262:298].std() < 30  # half white, half grey before: 65
    assert "was forgotten, can be seen" in page
    assert "/scene/film?id=yard%2Feve" in page


def test_the_seconds_around_it_play_as_one_moving_picture(client, recorded, monkeypatch):
    answer = client.get("/scene/film", params={"id": "yard/eve"})
    assert answer.headers["content-type"] == "image/webp"
    with Image.open(BytesIO(answer.content)) as film:
        lasts, pictures = [], []
        for number in range(film.n_frames):
            film.seek(number)
            pictures.append(film.convert("RGB"))
            lasts.append(film.info["duration"])
    # From 3 s before 7.9 s on to the end of the film, five pictures a second.
    assert lasts == [200] * 16
    for number in (0, 15):
        left = 20 + 2 * (49 + 2 * number)
        np.testing.assert_allclose(blue_columns(pictures[number]), (left, left + 39), atol=4)
    assert max(np.asarray(each)[12:28, 262:298].std() for each in pictures) < 30


def test_pictures_that_were_kept_come_first_and_the_recording_plays(client, gallery, recorded):
    grey = encode_jpeg(np.full((200, 400, 3), 120, np.uint8), 90)
    moments = [(Moment(1.0, BOX, grey), Moment(2.0, BOX, grey))]
    gallery.frames.keep(["yard/eve"], [str(recorded)], [MORNING], moments)
    page = client.get("/scene", params={"id": "yard/eve"}).text
    assert page.count("data:image/jpeg") == 2
    assert "/scene/film" in page


def removed(film):
    film.unlink()


def a_pipe(film):
    film.unlink()
    os.mkfifo(film)


def another(film):
    os.utime(film, (2e9, 2e9))


def damaged(film):
    film.write_bytes(b"RIFF" + bytes(500))
    os.utime(film, (1e9, 1e9))


@pytest.mark.parametrize(
    ("becomes", "told"),
    [
        (removed, "not on this machine any more"),
        (a_pipe, "not on this machine any more"),
        (another, "another one than when people were found"),
        (damaged, "is not a video that can be read"),
    ],
)
def test_a_recording_that_cannot_be_shown_is_one_line(client, recorded, becomes, told):
    becomes(recorded)
    page = client.get("/scene", params={"id": "yard/eve"})
    assert (page.status_code, told in page.text, "/scene/film" in page.text) == (200, True, False)
    answer = client.get("/scene/film", params={"id": "yard/eve"})
    assert (answer.status_code, told in answer.text) == (404, True)


def test_who_was_seen_live_has_no_recording(client, gallery, recorded, embed_people, put):
    """What `watch` kept has times in the world, also where it watched a file."""
    moments = [(Moment(MORNING, BOX),)]
    told = {"sources": [str(recorded)], "moments": moments}
    put(gallery, embed_people([("gate", "ada")], **told), "stripes")
    assert "It was seen live" in client.get("/scene", params={"id": "gate/ada"}).text


def test_recordings_are_decoded_one_at_a_time(client, recorded, monkeypatch):
    monkeypatch.setattr(module, "WAITING", 0.01)
    with module.one_at_a_time():
        answer = client.get("/scene/film", params={"id": "yard/eve"})
    assert (answer.status_code, "try again" in answer.text) == (503, True)
    assert client.get("/scene/film", params={"id": "yard/eve"}).status_code == 200


def test_decoding_ends_in_time(client, recorded, monkeypatch):
    """A slow machine shows what there is so far, and says where that is nothing."""
    monkeypatch.setattr(module, "DECODING", 0.0)
    answer = client.get("/scene/film", params={"id": "yard/eve"})
    assert (answer.status_code, "cannot be read at that moment" in answer.text) == (404, True)
