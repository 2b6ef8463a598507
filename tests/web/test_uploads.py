import asyncio
import struct
import threading
import zlib
from contextlib import suppress
from pathlib import Path

import cv2
import httpx2
import numpy as np
import pytest

from reseen.data import pictures as data_pictures
from reseen.data.colour_histogram import ColourHistogram
from reseen.errors import ReseenError
from reseen.web.app import create_app
from reseen.web.asked import MOST_BYTES, MOST_PICTURES, MOST_PIXELS


def packed(picture, kind=".png"):
    return cv2.imencode(kind, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1].tobytes()


def png_that_claims(width, height):
    """A PNG of a few bytes whose header promises so many pixels."""

    def chunk(name, content):
        check = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + check

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(1000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


def post(client, *contents, **params):
    files = [("pictures", (f"{place}.png", content)) for place, content in enumerate(contents)]
    return client.post("/api/search", files=files, params=params)


@pytest.fixture
def eve(draw_pictures):
    return draw_pictures("eve", seed=9)


@pytest.mark.parametrize("kind", [".png", ".jpg"])
def test_pictures_find_their_person(client, eve, kind):
    answer = post(client, *(packed(picture, kind) for picture in eve), k=2)
    assert answer.status_code == 200
    found = answer.json()
    assert (found["model"], found["calibrated"]) == ("stripes", False)
    assert {match["entry"]["id"] for match in found["matches"]} == {"north/eve", "south/eve"}


def test_distances_are_those_of_the_pictures(client, gallery, eve):
    (feature,) = ColourHistogram().embed([eve])
    matches = post(client, *map(packed, eve), camera="south").json()["matches"]
    for match in matches:
        stored = gallery.query(match["entry"]["id"], "stripes").embedding
        assert match["distance"] == pytest.approx(np.linalg.norm(stored - feature), abs=1e-4)
        assert match["beside"] == {}


def test_a_bomb_is_known_by_its_header_and_never_decoded(client, monkeypatch):
    def decoded(*_):
        raise AssertionError("decoded")

    monkeypatch.setattr(data_pictures, "decode_picture", decoded)
    for size in ((2001, 2000), (60_000, 60_000), (2**31 - 1, 1)):
        answer = post(client, png_that_claims(*size))
        assert answer.status_code == 413
        assert f"more than {MOST_PIXELS:,} pixels" in answer.json()["detail"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        packed(np.zeros((64, 32, 3), np.uint8), ".bmp"),
        packed(np.zeros((64, 32, 3), np.uint8), ".webp"),
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    ],
)
def test_only_jpeg_and_png_are_taken(client, eve, content):
    answer = post(client, packed(eve[0]), content)
    assert answer.status_code == 415
    assert answer.json()["detail"] == "1.png is neither a JPEG nor a PNG picture."


@pytest.mark.parametrize("kind", [".png", ".jpg"])
def test_a_picture_cut_short_is_named(client, eve, kind):
    whole = packed(eve[0], kind)
    answer = post(client, whole, whole[: len(whole) // 2])
    assert answer.status_code == 400
    assert answer.json()["detail"] == "1.png is cut short."


def test_damaged_pixels_are_no_fault_of_the_server(client):
    answer = post(client, png_that_claims(100, 100))
    assert answer.status_code in (200, 400)


def test_other_kinds_of_requests_are_refused(client):
    for kind in (
        "application/json",
        "text/plain",
        "image/png",
        "application/x-www-form-urlencoded",
    ):
        headers = {"content-type": kind}
        answer = client.post("/api/search", content=b"pictures=1", headers=headers)
        assert answer.status_code == 415
        assert client.post("/pictures", content=b"x", headers=headers).status_code == 415
    headers = {"content-type": "multipart/form-data"}  # without a boundary
    assert client.post("/api/search", content=b"x", headers=headers).status_code == 400


def test_not_too_many_and_not_too_much(client, eve):
    picture = packed(eve[0])
    assert post(client, *[picture] * MOST_PICTURES).status_code == 200
    assert post(client, *[picture] * (MOST_PICTURES + 1)).status_code == 422
    assert client.post("/api/search", files={"other": picture}).status_code == 422
    assert post(client, picture, bytes(MOST_BYTES)).status_code == 413


def test_a_model_that_the_server_lacks_is_named(client, gallery, eve, embed_people, put):
    put(gallery, embed_people([("north", "ada")]), "run-1")
    answer = post(client, packed(eve[0]))
    assert answer.status_code == 409
    assert "started without the model run-1" in answer.json()["detail"]
    assert post(client, packed(eve[0]), model="stripes").status_code == 200
    assert post(client, packed(eve[0]), model="run-2").status_code == 404


def test_an_extractor_of_its_own_is_asked(make_client, gallery, eve, embed_people, put):
    class Means:
        model_id, dimensions = "means", 128

        def embed(self, tracklets):
            rows = [[np.mean(list(pictures))] + [0] * 127 for pictures in tracklets]
            return np.float32(rows)

    features = np.float32([[50] + [0] * 127, [250] + [0] * 127])
    people = embed_people([("north", "ada"), ("north", "ben")], features=features)
    put(gallery, people, "means")
    client = make_client(extractors=[Means(), ColourHistogram()])
    (match,) = post(client, packed(np.full((64, 32, 3), 240, np.uint8)), k=1).json()["matches"]
    assert match["entry"]["id"] == "north/ben"
    assert match["distance"] == pytest.approx(10)


def test_one_search_by_pictures_after_another(gallery, eve, embed_people, put):
    """Decoded pictures are large, and many may come at once."""

    class Meeting(ColourHistogram):
        model_id = "meeting"

        def __init__(self):
            self.together, self.met = threading.Barrier(2), False

        def embed(self, tracklets):
            with suppress(threading.BrokenBarrierError):
                self.together.wait(timeout=0.3)
                self.met = True
            return super().embed(tracklets)

    async def ask(app):
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
            files = {"pictures": packed(eve[0])}
            asked = [client.post("/api/search", files=files) for _ in range(3)]
            return [answer.status_code for answer in await asyncio.gather(*asked)]

    put(gallery, embed_people([("north", "ada")]), "meeting")
    extractor = Meeting()
    assert asyncio.run(ask(create_app(gallery, extractors=[extractor]))) == [200] * 3
    assert extractor.together.broken
    assert not extractor.met


def test_what_an_extractor_finds_wrong_with_pictures_is_told(
    make_client, gallery, eve, embed_people, put
):
    class Strict(ColourHistogram):
        model_id = "strict"

        def embed(self, tracklets):
            raise ReseenError("the pictures differ in size")

    put(gallery, embed_people([("north", "ada")]), "strict")
    answer = post(make_client(extractors=[Strict()]), packed(eve[0]))
    assert (answer.status_code, answer.json()["detail"]) == (400, "the pictures differ in size.")


def test_searches_by_pictures_are_logged_without_the_pictures(client, gallery, eve):
    post(client, packed(eve[0]))
    log = (Path(gallery.uri) / "log.jsonl").read_text()
    assert '"query": "pictures sent to the web page"' in log
