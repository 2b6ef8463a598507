"""A gallery of three drawn people before two cameras, and a client of its pages."""

import shutil
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import pytest
from fastapi.testclient import TestClient

from reseen.data.colour_histogram import ColourHistogram
from reseen.data.tracklet import Moment
from reseen.gallery.gallery import Gallery
from reseen.gallery.records import NewTracklets
from reseen.gallery.thumbnail import make_thumbnail
from reseen.web.app import create_app

HERE = "http://127.0.0.1:8000"
MORNING = 1_718_006_400.0
"""10 June 2024, 08:00 UTC."""

COLOURS = {"ada": (200, 30, 30), "ben": (30, 60, 200), "eve": (40, 160, 50)}
SHOWN = [(camera, person) for camera in ("north", "south") for person in COLOURS]
"""Camera and person, in order of time: one a minute, for 5 s each."""


def drawn(person, frames=3, seed=0):
    """Pictures of somebody in a shirt of their own colour and dark trousers."""
    random = np.random.default_rng(seed)
    pictures = random.normal(120, 5, (frames, 96, 48, 3))
    for step, picture in enumerate(pictures):
        left = 10 + 2 * step
        picture[4:20, left + 8 : left + 16] = (200, 160, 140)
        picture[20:52, left : left + 24] = COLOURS[person]
        picture[52:92, left + 3 : left + 21] = (40, 40, 60)
    return list(np.clip(pictures, 0, 255).astype(np.uint8))


@dataclass(frozen=True)
class Given(NewTracklets):
    """Tracklets with embeddings of one model."""

    features: Any = None


def add(gallery, given, model):
    gallery.add_embedded(given, {model: given.features})


def seen(shown, **columns):
    """Tracklets "camera/person" embedded by stripes."""
    people = [drawn(person, seed=number) for number, (_, person) in enumerate(shown)]
    stripes = ColourHistogram().embed(people)
    starts = [MORNING + 60.0 * number for number in range(len(shown))]
    facts = {
        "ids": [f"{camera}/{person}" for camera, person in shown],
        "cameras": [camera for camera, _ in shown],
        "sources": [f"films/{camera}.mp4" for camera, _ in shown],
        "starts": starts,
        "ends": [start + 5 for start in starts],
        "frames": [3] * len(shown),
        "features": stripes,
        "thumbnails": [make_thumbnail(pictures, pixelate_heads=True) for pictures in people],
    }
    return Given(**(facts | columns))


@pytest.fixture
def embed_people():
    """The function that embeds drawn people, for further tracklets."""
    return seen


@pytest.fixture
def put():
    """The function that adds them to a gallery, as embedded by a model."""
    return add


@pytest.fixture(scope="session")
def draw_pictures():
    """The function that draws pictures of ada, ben or eve."""
    return drawn


@pytest.fixture(scope="session")
def filled_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("filled") / "gallery"
    add(Gallery.open(folder, create=True), seen(SHOWN), "stripes")
    return folder


@pytest.fixture
def gallery(filled_folder, tmp_path):
    shutil.copytree(filled_folder, tmp_path / "gallery")
    return Gallery.open(tmp_path / "gallery")


@pytest.fixture
def client(gallery):
    return TestClient(create_app(gallery), base_url=HERE, follow_redirects=False)


@pytest.fixture
def make_client(gallery):
    """A client of the gallery, for an application with settings of its own."""

    def make(base_url=HERE, **settings):
        return TestClient(create_app(gallery, **settings), base_url, follow_redirects=False)

    return make


@pytest.fixture
def film(tmp_path):
    """Somebody green walks to the right for 8 s; another one, with a checked head, stands."""
    path = tmp_path / "yard.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (320, 240))
    checks = np.indices((16, 40)).sum(axis=0) // 4 % 2 == 0
    for index in range(80):
        picture = np.full((240, 320, 3), 120, np.uint8)
        left = 20 + 2 * index
        picture[60:160, left : left + 40] = (30, 160, 60)
        picture[12:28, 260:300][checks] = (250, 250, 250)
        writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    writer.release()
    return path


@pytest.fixture
def recorded(gallery, film, embed_people, put):
    """Both are in the gallery; the green one is known at the first and the last frame alone."""
    green = (Moment(0.0, (20 / 320, 0.25, 60 / 320, 160 / 240)),)
    green += (Moment(7.9, (178 / 320, 0.25, 218 / 320, 161 / 240)),)
    stands = tuple(Moment(float(second), (0.8, 0.05, 0.95, 0.9)) for second in range(9))
    told = {"sources": [str(film)] * 2, "moments": [green, stands]}
    put(gallery, embed_people([("yard", "eve"), ("yard", "ben")], **told), "stripes")
    return film
