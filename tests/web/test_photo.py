"""A whole photo: who is in it is found, picked or drawn, and searched for; nothing is kept."""

import html
import re
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from reseen.tracking.detections import Detections
from reseen.web.asked import MOST_PIXELS_OF_PHOTO
from reseen.web.photo import LONGEST_SIDE, MOST_PACKED

BOXES = {"ben": (60, 40, 48, 96), "eve": (200, 40, 48, 96)}
"""Left, top, width and height of two people in a photo."""


@pytest.fixture
def street(draw_pictures):
    """A photo of 320 x 180 pixels with ben and eve in it."""
    picture = np.full((180, 320, 3), 120, np.uint8)
    for person, (left, top, width, height) in BOXES.items():
        picture[top : top + height, left : left + width] = draw_pictures(person, seed=9)[0]
    return picture


def who_is_there(picture):
    """A detector that knows both, scaled with the picture, and is unsure of a third."""
    boxes = np.array([[left, top, left + w, top + h] for left, top, w, h in BOXES.values()])
    boxes = np.vstack([boxes[::-1], [[0, 0, 40, 100]]]) * picture.shape[1] / 320
    return Detections.of(boxes, [0.9, 0.8, 0.3])


@pytest.fixture
def client(make_client):
    return make_client(detector=who_is_there)


def words(answer):
    """What a reader sees, in one line."""
    text = re.sub(r"(?s)<(style|script)>.*?</\1>", " ", answer.text)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", text)))


def packed(picture, kind=".png"):
    return cv2.imencode(kind, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1].tobytes()


def sent(client, picture, kind=".png"):
    content = picture if isinstance(picture, bytes) else packed(picture, kind)
    return client.post("/photo", files={"photo": ("street.png", content)})


def form_of(answer):
    """What the page's form would send, without a box."""
    photo = re.search(r'name="photo" value="([^"]+)"', answer.text)[1]
    return {"photo": photo, "boxes": re.findall(r'name="boxes" value="([^"]+)"', answer.text)}


def picked(client, answer, **fields):
    data = {"model": "stripes", **form_of(answer), **fields}
    return client.post("/photo/person", data=data, files={"_": b""})


def first_match(answer):
    return re.search(r'href="/tracklet\?id=([^"&]+)', answer.text)[1]


def test_people_in_a_photo_are_boxed_from_left_to_right(client, street):
    answer = sent(client, street)
    assert answer.status_code == 200
    assert form_of(answer)["boxes"] == ["60,40,48,96", "200,40,48,96"]
    assert 'viewBox="0 0 320 180"' in answer.text
    assert "2 people found in the photo." in words(answer)
    assert "Most alike" not in words(answer)


@pytest.mark.parametrize("person", BOXES)
def test_who_is_picked_is_searched_for_and_the_photo_stays_on_the_page(client, street, person):
    box = ",".join(map(str, BOXES[person]))
    answer = picked(client, sent(client, street), box=box)
    assert answer.status_code == 200
    assert first_match(answer).endswith(f"%2F{person}")
    pressed = re.findall(r'value="([0-9,]+)" data-key="\d" aria-pressed="true"', answer.text)
    assert pressed == [box]
    assert form_of(answer)["boxes"] == ["60,40,48,96", "200,40,48,96"]


def test_a_drawn_box_is_searched_as_well(client, street):
    answer = picked(client, sent(client, street), drawn="198,38,50,98")
    assert first_match(answer).endswith("%2Feve")
    assert 'x="198" y="38" width="50" height="98"' in answer.text


def test_where_nobody_is_found_a_box_can_still_be_drawn(make_client, street):
    client = make_client(detector=lambda _: Detections.of([], []))
    answer = sent(client, street)
    assert answer.status_code == 422
    assert "Nobody was found in this photo. Draw a box" in words(answer)
    answer = picked(client, answer, drawn="60,40,48,96")
    assert (answer.status_code, first_match(answer)) == (200, "south%2Fben")


@pytest.mark.parametrize("box", ["", "1,2,3", "a,b,c,d", "300,0,40,90", "0,0,7,90", "-1,0,40,90"])
def test_a_box_that_cannot_be_searched_is_said(client, street, box):
    answer = picked(client, sent(client, street), drawn=box)
    assert answer.status_code == 422
    assert "left,top,width,height" in words(answer) or "must lie in the picture" in words(answer)


def test_large_photos_are_shrunk_and_noise_still_fits_into_a_form(client, street):
    noise = np.random.default_rng(0).integers(0, 256, (1500, 3000, 3), np.uint8)
    noise[::2] = cv2.resize(street, (3000, 1500))[::2]
    answer = sent(client, noise, ".jpg")
    assert answer.status_code == 200
    assert f'viewBox="0 0 {LONGEST_SIDE} {LONGEST_SIDE // 2}"' in answer.text
    assert form_of(answer)["boxes"][0] == "240,160,192,384"  # four times as large
    assert len(form_of(answer)["photo"]) <= MOST_PACKED * 4 / 3 + 4
    assert picked(client, answer, box="240,160,192,384").status_code == 200


def test_what_is_no_photo_is_refused(client):
    assert sent(client, b"hello").status_code == 415
    large = BytesIO()
    Image.new("1", (5001, 5000)).save(large, "PNG")
    answer = sent(client, large.getvalue())
    assert answer.status_code == 413
    assert f"{MOST_PIXELS_OF_PHOTO:,} pixels; make it smaller" in words(answer)
    assert sent(client, packed(np.zeros((50, 50, 3), np.uint8))[:60]).status_code == 400
    assert client.post("/photo", files={"other": b""}).status_code == 422
    assert client.post("/photo", data={"photo": "x"}).status_code == 415
    for photo, status in (("not base64!", 400), ("aGVsbG8=", 415), ("x" * 2**20 + "x", 422)):
        data = {"model": "stripes", "photo": photo, "box": "0,0,40,90"}
        answer = client.post("/photo/person", data=data, files={"_": b""})
        assert answer.status_code in (status, 400), photo[:20]


def test_nobody_here_is_said_first(client, gallery, street, make_calibration):
    gallery.settings.keep_calibration(make_calibration("stripes", intercept=-9.0, slope=1.0))
    answer = picked(client, sent(client, street), box="60,40,48,96", at_least=0.5)
    assert (
        "Nobody here. No match has a probability of 50 % or more of being the same person."
        in words(answer)
    )
    assert words(answer).index("Nobody here") < words(answer).index("Unlikely")
    content = ("eve.png", packed(street[40:136, 200:248]))
    data = {"model": "stripes", "at_least": 0.5}
    answer = client.post("/pictures", files={"pictures": content}, data=data)
    assert "Nobody here." in words(answer)
    assert "Nobody here." not in words(picked(client, sent(client, street), box="60,40,48,96"))


def test_nothing_of_a_photo_is_kept(client, gallery, street):
    log = Path(gallery.uri) / "log.jsonl"
    before = {path for path in Path(gallery.uri).rglob("*") if path.is_file()}
    picked(client, sent(client, street), box="60,40,48,96")
    assert {path for path in Path(gallery.uri).rglob("*") if path.is_file()} == before | {log}
    assert '"query": "pictures sent to the web page"' in log.read_text(encoding="utf-8")


def test_the_detector_of_each_photo_knows_nothing_of_the_one_before():
    from reseen.tracking.detectors import photo_detector

    detect = photo_detector()
    street = cv2.resize(np.random.default_rng(1).integers(0, 255, (9, 16, 3), np.uint8), (320, 180))
    first = detect(street)
    detect(np.zeros((180, 320, 3), np.uint8))
    again = detect(street)
    assert np.array_equal(first.boxes, again.boxes)
