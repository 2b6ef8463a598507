import re
import time

import pytest

from reseen.data.pictures import encode_jpeg
from reseen.service.state import CameraState, by_hour, state_file, write_state

HOUR = 3_600.0


@pytest.fixture
def watched(gallery, draw_pictures):
    """The hall runs, the yard does not answer."""
    now = time.time()
    hours = ((now - 2 * HOUR, 7), (now, 3))
    running = CameraState(
        name="hall",
        source="rtsp://10.0.0.7/stream",
        state="running",
        since=now - HOUR,
        last_frame=now,
        frames=18_000,
        skipped=12,
        reconnects=1,
        people=10,
        people_per_hour=hours,
    )
    write_state(gallery.notes, running, encode_jpeg(draw_pictures("ada")[0], 80))
    failed = CameraState(name="yard", source="rtsp://yard", state="failed", since=now, error="<b>!")
    write_state(gallery.notes, failed)
    return running


def test_live_cameras_tell_how_they_are_doing(client, watched):
    page = client.get("/cameras").text
    assert page.index("<h2>hall</h2>") < page.index("<h2>yard</h2>")
    for told in ("Running", "18,000 pictures", "12 pictures: too many", "rtsp://10.0.0.7/stream"):
        assert told in page
    assert "Cannot be read" in page
    assert "&lt;b&gt;!" in page
    assert 'data-again="10"' in page
    assert 'aria-label="10 people in the last 24 hours, 3 in this one"' in page
    bars = re.findall(r'<rect x="(\d+)" width="8" y="[\d.]+" height="([\d.]+)"', page)
    assert [(int(x), float(height)) for x, height in bars] == [
        (211, 38.0),  # the fullest hour fills the 38 units
        (231, pytest.approx(38 * 3 / 7)),
    ]


def test_hours_before_the_last_day_are_left_out(watched):
    """The present hour is the 24th; one that began 24 h ago is beyond."""
    now = 100 * HOUR + 1
    counts = tuple((hour * HOUR, int(hour)) for hour in (76.0, 77.0, 99.0, 100.0))
    state = CameraState(name="a", source="b", state="ended", since=0, people_per_hour=counts)
    assert by_hour(state.people_per_hour, now) == [77, *[0] * 21, 99, 100]


def test_a_watch_that_was_killed_is_told(client, gallery, watched, monkeypatch):
    assert "No word from reseen watch" not in client.get("/cameras").text
    later = time.time() + 60
    monkeypatch.setattr("reseen.web.cameras.time.time", lambda: later)
    assert client.get("/cameras").text.count("No word from reseen watch") == 2


def test_only_a_known_cameras_last_picture_is_shown(client, gallery, watched):
    answer = client.get("/api/camera/picture", params={"name": "hall"})
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.content[:2] == b"\xff\xd8"
    state_file(gallery.notes, "x").with_name("secret.jpg").write_bytes(b"secret")
    (gallery.notes / "secret.jpg").write_bytes(b"secret")
    for name in ("yard", "secret", "../secret", "nobody", ""):
        assert client.get("/api/camera/picture", params={"name": name}).status_code == 404


def test_programs_read_the_same(client, watched):
    hall, yard = client.get("/api/cameras").json()
    assert (hall["name"], hall["people"], hall["skipped"]) == ("hall", 10, 12)
    assert (yard["state"], yard["error"]) == ("failed", "<b>!")


def test_without_live_cameras_recordings_and_failures_are_told(client, gallery):
    gallery.videos.fail("films/a.mp4", "gate", "films/a.mp4 is <empty>")
    page = client.get("/cameras").text
    assert "No live camera is watched" in page
    assert '<a href="/tracklets?camera=north">3 appearances</a>' in page
    assert "1 video could not be read" in page
    assert "films/a.mp4 is &lt;empty&gt;" in page
    assert "http-equiv" not in page


# Settings


def test_who_is_beyond_the_time_is_forgotten_at_once_and_only_when_that_is_meant(client, gallery):
    """They were seen in June 2024."""
    assert client.post("/settings/keep", data={"days": "30"}).status_code == 400
    assert gallery.count() == 6
    assert client.post("/settings/keep", data={"days": "30", "sure": "yes"}).status_code == 303
    assert gallery.count() == 0
    assert gallery.settings.retention_days == 30
    assert client.post("/settings/keep", data={"days": " ", "sure": "yes"}).status_code == 303
    assert gallery.settings.retention_days is None


def test_the_logs_time_is_set(client, gallery):
    assert client.post("/settings/log", data={"days": "7.5"}).status_code == 303
    assert gallery.settings.log_days == 7.5
    assert 'value="7.5"' in client.get("/settings").text


@pytest.mark.parametrize(("days", "status"), [("0", 400), ("-1", 422), ("x", 422), ("1e9", 422)])
@pytest.mark.parametrize("path", ["/settings/keep", "/settings/log"])
def test_times_that_make_no_sense_are_refused(client, gallery, path, days, status):
    assert client.post(path, data={"days": days, "sure": "yes"}).status_code == status
    assert gallery.count() == 6


def test_a_token_is_made_shown_once_and_revoked(client, gallery):
    page = client.post("/settings/token", data={"name": "anna", "role": "manage"}).text
    (token,) = re.findall(r'<code class="token">([^<]+)</code>', page)
    client.headers["authorization"] = f"Bearer {token}"
    page = client.get("/settings").text
    assert token not in page
    assert "anna" in page
    assert client.post("/settings/token", data={"name": "anna", "role": "look"}).status_code == 400
    assert client.post("/settings/revoke", data={"name": "berta"}).status_code == 400
    assert client.post("/settings/revoke", data={"name": "anna"}).status_code == 303
    (kept,) = gallery.tokens.all()
    assert kept.revoked is not None


def test_the_first_token_must_manage_where_it_would_lock_everybody_out(client, gallery):
    form = {"name": "anna", "role": "look"}
    answer = client.post("/settings/token", data=form)
    assert answer.status_code == 400
    assert "The first token must manage" in answer.text
    assert gallery.tokens.all() == []


def test_who_may_only_look_sees_no_forms(gallery, client):
    token = gallery.tokens.new("anna", "look")
    page = client.get("/settings", headers={"authorization": f"Bearer {token}"}).text
    assert "Your token lets look" in page
    assert "<form" not in page
    assert "for ever" in page
