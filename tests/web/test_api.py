import cv2
import numpy as np
import pytest

from reseen.gallery.records import EVERYTHING, Filter


def test_statistics(client):
    stats = client.get("/api/stats").json()
    assert stats["models"] == {"stripes": 6}
    assert stats["cameras"] == {"north": 3, "south": 3}
    assert stats["end"] - stats["start"] == 305.0
    assert stats["size"] > 0


def test_lists_pages_of_tracklets(client, gallery):
    whole = client.get("/api/tracklets").json()
    ids = [tracklet["id"] for tracklet in whole["tracklets"]]
    assert (whole["model"], whole["total"]) == (None, 6)
    assert ids == [entry.id for entry in gallery.entries()]
    some = client.get("/api/tracklets", params={"limit": 2, "offset": 3}).json()
    assert [tracklet["id"] for tracklet in some["tracklets"]] == ids[3:5]
    start = whole["tracklets"][0]["start"]
    window = {"camera": "north", "start": start + 60, "end": start + 61}
    found = client.get("/api/tracklets", params=window).json()
    assert [tracklet["id"] for tracklet in found["tracklets"]] == ["north/ben"]
    assert found["tracklets"][0] == {
        "id": "north/ben",
        "crops": None,
        "camera": "north",
        "start": start + 60,
        "end": start + 65,
        "source": "films/north.mp4",
        "frames": 3,
        "added": found["tracklets"][0]["added"],
        "keep_until": None,
    }


def test_looks_up_one_tracklet_and_its_thumbnail(client, gallery):
    assert client.get("/api/tracklet", params={"id": "north/ada"}).json()["camera"] == "north"
    thumbnail = client.get("/api/thumbnail", params={"id": "north/ada"})
    assert thumbnail.headers["content-type"] == "image/jpeg"
    assert thumbnail.content == gallery.thumbnails(["north/ada"])["north/ada"]
    still = client.get("/api/thumbnail", params={"id": "north/ada", "still": 1})
    first = cv2.imdecode(np.frombuffer(still.content, np.uint8), cv2.IMREAD_COLOR)
    whole = cv2.imdecode(np.frombuffer(thumbnail.content, np.uint8), cv2.IMREAD_COLOR)
    assert first.shape == (96, 48, 3)
    assert np.abs(first.astype(int) - whole[:, :48]).mean() < 3  # JPEG twice
    assert len(still.content) < len(thumbnail.content) / 3


@pytest.mark.parametrize(
    ("asked", "where", "k"),
    [
        ({}, EVERYTHING, 20),
        ({"other_cameras": True}, Filter(not_camera="north"), 20),
        ({"camera": "north", "k": 1}, Filter(camera="north"), 1),
    ],
)
def test_matches_are_those_of_the_gallery(client, gallery, asked, where, k):
    found = client.get("/api/matches", params={"id": "north/ada"} | asked).json()
    expected = gallery.search(gallery.query("north/ada", "stripes"), k, where)
    assert [match["entry"]["id"] for match in found["matches"]] == [m.entry.id for m in expected]
    assert [match["distance"] for match in found["matches"]] == [m.distance for m in expected]
    assert {match["probability"] for match in found["matches"]} == {None}


def test_chances_come_only_from_a_calibration(client, gallery, make_calibration):
    gallery.settings.keep_calibration(make_calibration("stripes"))
    found = client.get("/api/matches", params={"id": "north/ada"}).json()
    assert found["calibrated"]
    assert all(0 < match["probability"] < 1 for match in found["matches"])


def test_marks_are_kept(client, gallery):
    verdict = {"query": "north/ada", "match": "south/ada", "same": True}
    answer = client.post("/api/labels", json=verdict)
    assert (answer.status_code, answer.json()) == (201, verdict)
    (pair,) = client.get("/api/labels").json()
    assert pair["match_source"] == "films/south.mp4"
    assert client.post("/api/labels", json=verdict | {"match": "nobody"}).status_code == 404
    for bad in ({"same": "yes"}, {"same": None}, {"match": 5}, {"more": 1}):
        assert client.post("/api/labels", json=verdict | bad).status_code == 422
    assert client.post("/api/labels", content=b"{", headers={}).status_code == 422
    assert len(gallery.labels.all()) == 1


def test_forgets_by_delete_only(client, gallery):
    assert client.get("/api/forget?id=north/ada").status_code == 404
    answer = client.delete("/api/tracklet", params={"id": "north/ada"})
    assert answer.json() == {"ids": ["north/ada"]}
    assert client.delete("/api/tracklet", params={"id": "north/ada"}).status_code == 404
    assert client.get("/api/thumbnail", params={"id": "north/ada"}).status_code == 404
    assert gallery.count() == 5


@pytest.mark.parametrize("path", ["tracklet", "thumbnail", "matches"])
@pytest.mark.parametrize(
    "id", ["../../etc/passwd", "north/../north/ada", "' OR 1=1 --", "\0", "é" * 9]
)
def test_ids_are_names_and_nothing_else(client, path, id):
    answer = client.get(f"/api/{path}", params={"id": id})
    assert answer.status_code == 404
    assert id in answer.json()["detail"]


@pytest.mark.parametrize(
    "path", ["../app.py", "%2e%2e/app.py", "..%2fapp.py", "/etc/passwd", "%00"]
)
@pytest.mark.parametrize("folder", ["", "api/", "static/", "templates/"])
def test_no_path_leads_to_a_file(client, folder, path):
    answer = client.get(f"/{folder}{path}")
    assert answer.status_code == 404
    assert "import" not in answer.text


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("tracklets", {"limit": 0}),
        ("tracklets", {"limit": 10**9}),
        ("tracklets", {"offset": 10**20}),
        ("tracklets", {"start": "nan"}),
        ("tracklets", {"end": "inf"}),
        ("tracklets", {"camera": "x" * 201}),
        ("tracklet", {}),
        ("matches", {"id": "north/ada", "k": -1}),
        ("matches", {"id": "north/ada", "other_cameras": "perhaps"}),
    ],
)
def test_bad_parameters_are_named(client, path, asked):
    answer = client.get(f"/api/{path}", params=asked)
    assert answer.status_code == 422
    named = next((name for name in asked if name != "id"), "id")
    assert answer.json()["detail"].startswith(f"{named}: ")


def test_the_description_is_complete_and_needs_nothing_from_elsewhere(client):
    described = client.get("/api/openapi.json").json()
    names = ("stats", "tracklets", "tracklet", "thumbnail", "matches", "search", "review", "people")
    more = ("labels", "labels.csv", "rejected", "cameras", "camera/picture")
    assert set(described["paths"]) == {f"/api/{name}" for name in (*names, *more)}
    for path in described["paths"].values():
        for operation in path.values():
            assert operation["description"].endswith(".")
            assert {"401", "403", "413", "422", "503"} <= set(operation["responses"])
    for page in ("/docs", "/redoc", "/openapi.json"):
        assert client.get(page).status_code == 404
