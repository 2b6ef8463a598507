"""Any text may be an id, a camera or a source: it is found exactly and never a condition."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from reseen.gallery.gallery import Gallery
from reseen.gallery.records import EVERYTHING, Filter, NewTracklets

EVIL = [
    "it's",
    "x\\') OR (1=1)) --",
    "x\\') OR camera IN ('",
    "\\",
    "\\'",
    "''",
    "'",
    '"',
    "100 %_",
    "a\nb",
    "a\0b",
    "`x`",
    "repeat('a', 1000000000)",
    "Bahnhof Süd 北口 🚉",
]
"""Quotes, backslashes, percent signs, newlines, NUL, and what made LanceDB's SQL text another."""

TEXTS = st.one_of(
    st.sampled_from(EVIL),
    st.text(alphabet="'\\\"%_()=-;\n\0 aOR1", min_size=1, max_size=12),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12),
)


def filled(folder, names):
    """A tracklet of every name, seen by the camera of that name."""
    gallery, count = Gallery.open(folder, create=True), len(names)
    starts = [float(number) for number in range(count)]
    given = NewTracklets(names, names, names, starts, starts, [1] * count)
    gallery.add_embedded(given, {"net": np.eye(count, 64, dtype=np.float32)})
    return gallery


def check(gallery, names, absent):
    """Every verb finds each name, all others, or nothing, and never more."""
    for name in names:
        others = [other for other in names if other != name]
        for where in (Filter(camera=name), Filter(ids=(name,)), Filter((name,), name, None, 0.0)):
            assert [entry.id for entry in gallery.entries(where)] == [name]
            assert gallery.count(where) == gallery.count(where, "net") == 1
        assert [entry.id for entry in gallery.entries(Filter(not_camera=name))] == others
        query = gallery.query(name, "net")
        assert {match.entry.id for match in gallery.search(query, 64)} == set(others)
        assert [m.entry.id for m in gallery.search(query, 5, Filter(camera=name))] == []
        (same,) = gallery.alike(query, 0.5, Filter(camera=name))
        assert same.entry.source == name
        gallery.require(Filter((name,), name, name))
    for where in (Filter(camera=absent), Filter(ids=(absent,))):
        assert gallery.entries(where) == gallery.search(query, 5, where) == []
        assert gallery.count(where) == 0
        assert gallery.forget(where) == []


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(TEXTS, min_size=2, max_size=6, unique=True), TEXTS)
@example(EVIL, "x\\') OR (1=1) --")
@example(["'", "''", "\\'"], "\\''")
def test_any_text_is_listed_searched_counted_labelled_and_forgotten_exactly(
    tmp_path_factory, names, absent
):
    names = [name for name in names if name != absent]
    if not names:
        return
    gallery = filled(tmp_path_factory.mktemp("names") / "gallery", names)
    check(gallery, names, absent)
    for one, other in pairwise(names):
        gallery.labels.add(one, other, same=True)
    assert gallery.forget(Filter(camera=names[0])) == [names[0]]
    assert gallery.count() == gallery.count(EVERYTHING, "net") == len(names) - 1
    assert not any(names[0] in (label.query, label.match) for label in gallery.labels.all())
    assert len(gallery.labels.all()) == max(len(names) - 2, 0)


@pytest.fixture
def client(tmp_path):
    from fastapi.testclient import TestClient

    from reseen.web.app import create_app

    gallery = filled(tmp_path / "gallery", EVIL)
    here = "http://127.0.0.1:8000"
    return TestClient(create_app(gallery), base_url=here, follow_redirects=False)


@pytest.mark.parametrize("name", EVIL)
def test_every_route_takes_any_text_for_what_it_is(client, name):
    found = client.get("/api/tracklets", params={"camera": name}).json()
    assert (found["total"], [each["id"] for each in found["tracklets"]]) == (1, [name])
    assert client.get("/api/tracklet", params={"id": name}).json()["source"] == name
    asked = {"id": name, "camera": name, "model": "net"}
    assert client.get("/api/matches", params=asked).json()["matches"] == []
    other = next(each for each in EVIL if each != name)
    said = {"query": name, "match": other, "same": True}
    assert client.post("/api/labels", json=said).status_code == 201
    for path, asked in {
        "/tracklets": {"camera": name},
        "/tracklet": {"id": name, "camera": other},
        "/compare": {"id": name, "match": other},
        "/forget": {"id": name},
    }.items():
        assert client.get(path, params=asked).status_code == 200
    assert client.delete("/api/tracklet", params={"id": name}).json() == {"ids": [name]}
    assert client.get("/api/tracklets").json()["total"] == len(EVIL) - 1
    assert client.get("/api/labels").json() == []


@pytest.mark.parametrize("name", ["x\\') OR (1=1)) --", "''", "nowhere"])
def test_who_is_not_there_is_never_somebody_else(client, name):
    absent = name + "\\' OR 1=1 --"
    assert client.get("/api/tracklet", params={"id": absent}).status_code == 404
    assert client.delete("/api/tracklet", params={"id": absent}).status_code == 404
    assert client.get("/api/tracklets", params={"camera": absent}).status_code == 404
    assert client.get("/api/tracklets").json()["total"] == len(EVIL)
