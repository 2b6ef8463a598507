"""A gallery in an object store: moto's S3 server on loopback, where it is installed."""

import urllib.request

import pytest

from reseen.cli import run
from reseen.gallery.gallery import Gallery
from tests.service import blocks

models = pytest.importorskip("moto.s3.models", reason="moto is not installed: make cluster")
moto = pytest.importorskip("moto.server", reason="flask is not installed: make cluster")


@pytest.fixture
def bucket(monkeypatch, tmp_path):
    """The address of an empty bucket."""
    server = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    told = {"ACCESS_KEY_ID": "test", "SECRET_ACCESS_KEY": "test", "REGION": "us-east-1"}
    told |= {"ENDPOINT": address, "ALLOW_HTTP": "true"}
    for name, value in told.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, host)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    asked = urllib.request.Request(f"{address}/people", method="PUT")
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(asked, timeout=10).close()
    yield "s3://people"
    server.stop()


def kept(secret: bytes) -> list[str]:
    """The objects that hold a secret."""
    objects = models.s3_backends["123456789012"]["aws"].buckets["people"].keys.values()
    return [each.name for each in objects if secret in each.value]


def test_videos_go_in_are_found_and_are_forgotten_to_the_byte(bucket, tmp_path):
    for camera, shift in (("hall", 0), ("door", 9)):
        blocks.film(tmp_path / f"{camera}.avi", shift)
    place = f"{bucket}/site"
    words = ["ingest", *map(str, sorted(tmp_path.glob("*.avi"))), "--camera-from", "{camera}.avi"]
    words += ["--gallery", place, "--detector", "tests.service.blocks:find", "--model", "stripes"]
    assert run(words) == 0
    assert run(words) == 0
    gallery = Gallery.open(place)
    assert sorted(entry.id for entry in gallery.entries()) == [
        f"{camera}-{camera}-00000{number}" for camera in ("door", "hall") for number in (1, 2)
    ]
    (nearest, *_) = gallery.search(gallery.query("hall-hall-000001", "stripes"))
    assert nearest.entry.id == "door-door-000001"
    secrets = [b"door-door-000001", *gallery.thumbnails(["door-door-000001"]).values()]
    assert all(kept(secret) for secret in secrets)
    assert run(["gallery", "forget", place, "--ids", "door-door-000001", "--now"]) == 0
    assert run(words) == 0  # nobody comes back
    assert Gallery.open(place).count() == 3
    assert not any(kept(secret) for secret in secrets)
