"""Who is who, on pages: three drawn people, each before two cameras."""

import html
import re
from pathlib import Path

import pytest

from reseen.gallery.identities import Identities
from reseen.gallery.records import Filter


@pytest.fixture
def unsure(gallery, make_calibration):
    """Nobody is put together: every pair is rather two people than one, ben's the least."""
    gallery.settings.keep_calibration(make_calibration("stripes", intercept=-0.5, slope=1.0))
    Identities(gallery).identify()
    return gallery


def words(answer):
    """What a reader sees, in one line."""
    text = re.sub(r"(?s)<(style|script)>.*?</\1>", " ", answer.text)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", text)))


def people(gallery):
    """Ids of each identity's tracklets, in one text."""
    homes = {}
    for member in gallery.members.all():
        homes.setdefault(member.identity, []).append(member.id)
    return {" ".join(sorted(ids)) for ids in homes.values()}


def question(client, **asked):
    answer = client.get("/review", params=asked)
    assert answer.status_code == 200, answer.text
    return dict(re.findall(r'name="(query|match)" value="([^"]*)"', answer.text))


ALONE = {f"{camera}/{who}" for camera in ("north", "south") for who in ("ada", "ben", "eve")}


def test_the_review_asks_answers_skips_and_takes_back(client, unsure):
    assert people(unsure) == ALONE
    first = question(client)
    second = question(client, skipped=1)
    assert first["query"].split("/")[1] == first["match"].split("/")[1]
    assert first != second
    answer = client.post("/review", data=first | {"same": "yes"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/review")
    assert " ".join(sorted(first.values())) in people(unsure)
    answer = client.post("/review", params={"skipped": 1}, data=question(client) | {"same": "no"})
    assert answer.headers["location"] == "/review?skipped=1"
    assert "2 answers given" in words(client.get("/review"))
    for left in (1, 0, 0):
        client.post("/review/undo")
        assert len(unsure.labels.all()) == left
    assert people(unsure) == ALONE
    assert question(client) == first


def test_the_review_ends_and_says_so(client, unsure):
    count = 0
    while asked := question(client):
        client.post("/review", data=asked | {"same": "no"})
        count += 1
    assert count == 15  # every pair of six
    assert "nobody left to ask about" in words(client.get("/review"))
    assert people(unsure) == ALONE


def test_what_ten_answers_changed_is_told(client, unsure):
    for number in range(10):
        client.post("/review", data=question(client) | {"same": "yes" if number < 1 else "no"})
    text = words(client.get("/review"))
    assert "10 answers given. 6 people before the last 10, 5 people now." in text
    assert "are one now" in text


def test_programs_ask_the_same_questions(client, unsure):
    found = client.get("/api/review", params={"count": 2}).json()
    assert [{"query": each["query"], "match": each["match"]} for each in found] == [
        question(client),
        question(client, skipped=1),
    ]
    pair = {"query": found[0]["query"], "match": found[0]["match"]}
    assert client.post("/api/labels", json=pair | {"same": True}).status_code == 201
    assert len(people(unsure)) == 5
    assert client.delete("/api/labels", params=pair).status_code == 204
    assert people(unsure) == ALONE
    assert client.get("/api/labels").json() == []


def test_a_label_that_contradicts_others_is_refused_and_changes_nothing(client, unsure):
    for one, two in (("north/ada", "south/ada"), ("south/ada", "north/ben")):
        client.post("/compare", params={"id": one, "match": two}, data={"same": "yes"})
    before = people(unsure), [label.match for label in unsure.labels.all()]
    for path in ("/compare", "/api/labels"):
        pair = {"query": "north/ada", "match": "north/ben", "same": False}
        answer = (
            client.post(path, json=pair)
            if path.startswith("/api")
            else client.post(
                path, params={"id": "north/ada", "match": "north/ben"}, data={"same": "no"}
            )
        )
        assert answer.status_code == 409
        assert "labels contradict each other" in answer.text
    assert (people(unsure), [label.match for label in unsure.labels.all()]) == before


def test_without_identities_labels_are_kept_all_the_same(client, gallery):
    asked = {"id": "north/ada", "match": "south/ada"}
    assert client.post("/compare", params=asked, data={"same": "yes"}).status_code == 303
    answer = client.get("/review")
    assert answer.status_code == 409
    assert "has no calibration of stripes" in words(answer)
    assert client.get("/api/review").status_code == 409
    assert client.delete("/api/labels", params={"query": "south/ada", "match": "north/ada"})
    assert gallery.labels.all() == []


def test_nothing_stays_of_a_label_that_was_taken_back_and_of_whom_it_was_on(client, unsure):
    client.post("/review", data=(asked := question(client)) | {"same": "yes"})
    client.post("/review/undo")
    unsure.forget(Filter(ids=tuple(asked.values())), at_once=True)
    files = [path for path in Path(unsure.uri).rglob("*") if path.is_file()]
    for id in asked.values():
        assert not [path for path in files if id.encode() in path.read_bytes()]
