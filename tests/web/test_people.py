"""Who is who, on pages: three drawn people, each before two cameras."""

import html
import re
from dataclasses import replace
from pathlib import Path

import pyarrow
import pytest

from reseen.gallery.identities import Identities
from reseen.gallery.log import LOG_FILE, read_lines
from reseen.gallery.people import Person
from reseen.gallery.records import Filter
from reseen.web.people import timeline


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
    for given, left in ((2, 1), (1, 0), (0, 0)):
        client.post("/review/undo", data={"answers": given})
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


def test_each_of_two_operators_undoes_their_own_answers_and_sees_what_the_other_said(
    client, unsure
):
    anna, berta = (
        {"Authorization": f"Bearer {unsure.tokens.new(name, 'manage')}"}
        for name in ("anna", "berta")
    )
    asked = {}
    for operator in (anna, berta):
        answer = client.get("/review", headers=operator)
        asked = dict(re.findall(r'name="(query|match)" value="([^"]*)"', answer.text))
        client.post("/review", data=asked | {"same": "no"}, headers=operator)
    stale = client.post("/review", data=asked | {"same": "yes"}, headers=anna)
    assert stale.status_code == 409
    assert "as someone else meanwhile" in words(stale)
    client.post("/review", data=asked | {"same": "no"}, headers=berta)  # sent twice
    assert "1 answer given" in words(client.get("/review", headers=berta))
    client.post("/review/undo", data={"answers": 1}, headers=anna)
    assert [label.query for label in unsure.labels.all()] == [asked["query"]]


def test_undo_from_a_page_that_has_not_seen_the_last_answer_undoes_nothing(client, unsure):
    client.post("/review", data=question(client) | {"same": "no"})
    client.post("/review", data=question(client) | {"same": "no"})
    answer = client.post("/review/undo", data={"answers": 1})
    assert answer.status_code == 409
    assert len(unsure.labels.all()) == 2


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
    assert answer.status_code == 200
    assert "no model is calibrated" in words(answer)
    assert "tell of their matches who is the same person" in words(answer)
    assert client.get("/api/review").status_code == 409
    assert client.delete("/api/labels", params={"query": "south/ada", "match": "north/ada"})
    assert gallery.labels.all() == []


def test_nothing_stays_of_a_label_that_was_taken_back_and_of_whom_it_was_on(client, unsure):
    client.post("/review", data=(asked := question(client)) | {"same": "yes"})
    client.post("/review/undo", data={"answers": 1})
    unsure.forget(Filter(ids=tuple(asked.values())), at_once=True)
    files = [path for path in Path(unsure.uri).rglob("*") if path.is_file()]
    for id in asked.values():
        assert not [path for path in files if id.encode() in path.read_bytes()]


# People

TOGETHER = {f"north/{who} south/{who}" for who in ("ada", "ben", "eve")}


@pytest.fixture
def put_together(gallery, make_calibration):
    """Each of the three is one person of two appearances."""
    gallery.settings.keep_calibration(make_calibration("stripes", intercept=8.0, slope=16.0))
    Identities(gallery).identify()
    assert people(gallery) == TOGETHER
    return gallery


def home(gallery, id):
    (member,) = gallery.members.of([id])
    return member.identity


def post(client, gallery, action, of, **data):
    return client.post(f"/person{action}", params={"identity": home(gallery, of)}, data=data)


def test_people_are_listed_by_when_they_were_last_seen(client, put_together):
    answer = client.get("/people")
    named = re.findall(r'href="/person\?identity=([^"]+)"', answer.text)
    assert named == [home(put_together, f"south/{who}") for who in ("eve", "ben", "ada")]
    assert "3 people" in words(answer)
    assert words(answer).count("2 appearances north, south") == 3
    listed = client.get("/api/people", params={"limit": 2, "offset": 1}).json()
    assert [person["identity"] for person in listed] == named[1:]
    assert [each["entry"]["id"] for each in listed[1]["appearances"]] == ["north/ada", "south/ada"]


def test_people_are_found_by_a_part_of_their_name(client, put_together):
    post(client, put_together, "/name", "north/ada", name="Ada Lovelace")
    post(client, put_together, "/name", "north/ben", name="100 % <Ada>")
    post(client, put_together, "/name", "north/eve", name="Eve")  # digits of its own may be "ada"
    for asked, found in (
        ("aDA", ["100 % <Ada>", "Ada Lovelace"]),
        ("% <", ["100 % <Ada>"]),
        ("A.a", []),
    ):
        listed = client.get("/api/people", params={"name": asked}).json()
        assert [person["identity"] for person in listed] == found
        text = words(client.get("/people", params={"name": asked}))
        assert [name for name in ("100 % <Ada>", "Ada Lovelace") if f" {name} " in text] == found
    assert "Nobody has this in their name." in text


def test_somebody_is_picked_to_be_merged_with(client, put_together):
    ada, ben = home(put_together, "north/ada"), home(put_together, "north/ben")
    answer = client.get("/person/merge", params={"identity": ada})
    choices = re.findall(r'name="other" value="([^"]+)"', answer.text)
    assert choices == [home(put_together, f"south/{who}") for who in ("eve", "ben")]
    answer = client.get("/person/merge", params={"identity": ada, "name": ben})
    assert re.findall(r'name="other" value="([^"]+)"', answer.text) == [ben]
    assert client.get("/person/merge", params={"identity": "nobody"}).status_code == 404
    assert client.post("/person/merge", params={"identity": ada}, data={"other": ben}).is_redirect
    assert "north/ada north/ben south/ada south/ben" in people(put_together)


def test_people_are_put_together_and_joined_on_the_page(
    client, gallery, make_calibration, embed_people, put
):
    assert client.get("/people").status_code == 200
    assert "no model is calibrated" in words(client.get("/people"))
    gallery.settings.keep_calibration(make_calibration("stripes", intercept=8.0, slope=16.0))
    assert "6 appearances are not among them yet." in words(client.get("/people"))
    assert client.post("/people").headers["location"] == "/people"
    assert people(gallery) == TOGETHER
    put(gallery, embed_people([("west", "ada")], starts=[9e8], ends=[9e8 + 5]), "stripes")
    assert "1 appearance is not among them yet." in words(client.get("/people"))
    client.post("/people")
    assert people(gallery) == TOGETHER - {"north/ada south/ada"} | {"north/ada south/ada west/ada"}


def test_a_person_is_shown_with_appearances_timeline_and_who_may_be_the_same(client, put_together):
    identity = home(put_together, "north/ada")
    answer = client.get("/person", params={"identity": identity})
    assert "Probability of belonging here" in words(answer)
    assert answer.text.count("<rect") == 2
    first, last = re.findall(r'<rect x="([\d.]+)" y="3" width="([\d.]+)"', answer.text)
    assert first == ("0.0", f"{5 / 185 * 1000:.1f}")  # 5 s each, the second 180 s later
    assert last == (f"{180 / 185 * 1000:.1f}", f"{5 / 185 * 1000:.1f}")
    assert answer.text.count("<line") == 2 * 4  # a line each minute, in both cameras
    assert answer.text.count(">Merge</button>") == 2
    assert client.get("/person", params={"identity": "nobody"}).status_code == 404


def test_a_person_of_many_appearances_is_shown_a_page_at_a_time(
    client, put_together, embed_people, put
):
    ids = [f"yard/{number}" for number in range(60)]
    put(put_together, embed_people([("yard", "ada")] * 60, ids=ids), "stripes")
    mine = put_together.members.of(["north/ada"])[0]
    put_together.members.put([replace(mine, id=id) for id in ids])
    pages = [client.get("/person", params={"identity": mine.identity, "page": n}) for n in (1, 2)]
    numbers = [re.findall(r'aria-label="Appearance (\d+),', page.text) for page in pages]
    assert numbers == [[str(n) for n in range(1, 51)], [str(n) for n in range(51, 63)]]
    assert "Page 2 of 2" in words(pages[1])
    listed = client.get("/api/people", params={"name": mine.identity}).json()
    assert listed[0]["count"] == 62


def test_a_timeline_draws_no_more_than_can_be_seen():
    starts = [1.8e9 + 0.5 * number for number in range(20_000)]
    seen = {"camera": ["north"] * 20_000, "start_time": starts, "end_time": starts}
    (lane,) = timeline(Person(None, "ada", pyarrow.table(seen), [], None)).lanes.values()
    assert 900 < len(lane) <= 1_001
    assert [number for _, _, number in lane] == sorted({number for _, _, number in lane})


def test_people_are_named_and_names_are_shown_as_text(client, put_together):
    evil = '../<b>Ada</b> & "co"'
    answer = post(client, put_together, "/name", "north/ada", name=evil)
    assert answer.status_code == 303
    assert home(put_together, "south/ada") == evil
    for path in (answer.headers["location"], "/people", "/review"):
        assert "<b>Ada" not in client.get(path).text
    assert evil in words(client.get(answer.headers["location"]))
    taken = post(client, put_together, "/name", "north/ben", name=evil)
    assert (taken.status_code, "somebody else is called" in words(taken)) == (409, True)
    for empty in ("", " \t"):
        assert post(client, put_together, "/name", "north/ben", name=empty).status_code == 422
    Identities(put_together).identify()
    assert home(put_together, "north/ada") == evil


def test_an_appearance_is_confirmed_split_off_and_taken_back_in(client, put_together):
    answer = post(client, put_together, "", "north/ada", id="south/ada", same="no")
    assert answer.status_code == 303
    assert people(put_together) == TOGETHER - {"north/ada south/ada"} | {"north/ada", "south/ada"}
    alone = post(client, put_together, "", "north/ada", id="north/ada", same="no")
    assert alone.status_code == 400
    apart = post(client, put_together, "/merge", "north/ada", other=home(put_together, "south/ada"))
    assert (apart.status_code, "labelled different" in words(apart)) == (409, True)
    post(client, put_together, "/confirm", "north/ben")
    assert {(label.query, label.match, label.same) for label in put_together.labels.all()} == {
        ("north/ada", "south/ada", False),
        ("north/ben", "south/ben", True),
    }
    shown = client.get("/person", params={"identity": home(put_together, "north/ben")})
    assert shown.text.count('class="match right"') == 2


def fields(answer, *names):
    """What the forms of a page carry along, each name's last value."""
    given = dict(re.findall(r'name="(\w+)" value="([^"]*)"', answer.text))
    return {name: html.unescape(given[name]) for name in names}


@pytest.mark.parametrize(("camera", "other"), [("north", "south"), ("south", "north")])
def test_an_appearance_split_off_by_mistake_goes_back_with_one_press(
    client, put_together, camera, other
):
    identity = home(put_together, "north/ada")
    answer = post(client, put_together, "", "north/ada", id=f"{camera}/ada", same="no")
    assert home(put_together, f"{other}/ada") == identity  # who is someone else takes no name away
    shown = client.get(answer.headers["location"])
    assert f"belongs to {home(put_together, f'{camera}/ada')} now" in words(shown)
    back = {"id": f"{camera}/ada", "same": "nothing", "shown": "no"}
    answer = client.post("/person", params={"identity": identity}, data=back)
    assert people(put_together) == TOGETHER
    assert put_together.labels.all() == []
    assert "belongs to" not in words(client.get(answer.headers["location"]))


@pytest.mark.parametrize(("one", "two"), [("ada", "ben"), ("ben", "ada")])
def test_a_merge_by_mistake_is_undone_and_both_are_called_what_they_were(
    client, put_together, one, two
):
    for who in ("ada", "ben"):
        post(client, put_together, "/name", f"north/{who}", name=f"The {who}")
    answer = post(client, put_together, "/merge", f"north/{one}", other=f"The {two}")
    shown = client.get(answer.headers["location"])
    assert f"The {one} and The {two} are one person now." in words(shown)
    both = fields(shown, "one", "two") | {"names": [f"The {one}", f"The {two}"]}
    answer = client.post("/person/part", data=both)
    assert people(put_together) == TOGETHER
    assert [home(put_together, f"south/{who}") for who in ("ada", "ben")] == ["The ada", "The ben"]
    assert "one person now" not in words(client.get(shown.url))


def test_who_is_no_person_leaves_people_and_searches_until_that_is_taken_back(client, put_together):
    post(client, put_together, "/name", "north/ada", name="Ada")
    answer = post(client, put_together, "/reject", "north/ada")
    assert answer.status_code == 303
    assert people(put_together) == TOGETHER - {"north/ada south/ada"}
    listed = client.get(answer.headers["location"])
    assert "2 appearances labelled as not a person" in words(listed)
    assert "not among them yet" not in words(listed)
    found = client.get("/api/matches", params={"id": "north/ben", "k": 9}).json()["matches"]
    assert {match["entry"]["id"] for match in found} == ALONE - {
        "north/ada",
        "south/ada",
        "north/ben",
    }
    Identities(put_together).identify()
    assert people(put_together) == TOGETHER - {"north/ada south/ada"}
    time = re.search(r'name="time" value="([^"]+)"', listed.text)[1]
    assert client.post("/people/restore", data={"time": time}).headers["location"] == "/people"
    assert people(put_together) == TOGETHER
    assert home(put_together, "south/ada") == "Ada"
    assert client.get("/api/rejected").json() == []


def test_one_appearance_is_no_person(client, put_together):
    asked = {"id": "south/ada"}
    assert client.post("/tracklet/reject", data=asked).headers["location"] == (
        "/tracklet?id=south%2Fada"
    )
    assert people(put_together) == TOGETHER - {"north/ada south/ada"} | {"north/ada"}
    assert "Labelled as not a person." in words(client.get("/tracklet", params=asked))
    assert "not a person" in words(client.get("/tracklets"))
    assert "1 appearance labelled so" in words(client.get("/labels"))
    pair = {"id": "north/ada", "match": "south/ada"}
    answer = client.post("/compare", params=pair, data={"same": "yes"})
    assert answer.status_code == 409
    assert "south/ada is labelled as not a person; take that label back first" in words(answer)
    client.post("/tracklet/restore", data=asked)
    assert people(put_together) == TOGETHER
    assert client.post("/tracklet/reject", data={"id": "nobody"}).status_code == 404


def test_programs_reject_without_identities_too(client, gallery):
    asked = {"id": "south/ada"}
    assert client.post("/api/rejected", params=asked).status_code == 201
    assert [each["id"] for each in client.get("/api/rejected").json()] == ["south/ada"]
    found = client.get("/api/matches", params={"id": "north/ada"}).json()["matches"]
    assert len(found) == 4
    assert client.get("/api/stats").json()["rejected"] == 1
    assert client.delete("/api/rejected", params=asked).status_code == 204
    assert len(client.get("/api/matches", params={"id": "north/ada"}).json()["matches"]) == 5


@pytest.mark.parametrize("taken_back", [False, True])
def test_nothing_stays_of_the_forgotten_that_were_rejected(client, put_together, taken_back):
    post(client, put_together, "/name", "north/ada", name="Ada Lovelace")
    ids = ("north/ada", "south/ada")
    for id in ids:
        client.post("/tracklet/reject", data={"id": id})
        if taken_back:
            client.post("/tracklet/restore", data={"id": id})
    put_together.forget(Filter(ids=ids), at_once=True)
    files = [path for path in Path(put_together.uri).rglob("*") if path.is_file()]
    for secret in (*ids, "Ada Lovelace"):
        assert not [path for path in files if secret.encode() in path.read_bytes()]


def test_an_emptied_gallery_says_so_and_answers_no_question(client, unsure):
    asked = question(client)
    unsure.forget(Filter(ids=tuple(ALONE)))
    assert client.post("/review", data=asked | {"same": "no"}).status_code == 404
    for path in ("/review", "/people"):
        answer = client.get(path)
        assert (answer.status_code, "This gallery is empty." in words(answer)) == (200, True)
    assert client.get("/api/review").status_code == 409


def test_two_people_are_merged_under_the_name_that_one_has(client, put_together):
    post(client, put_together, "/name", "north/ada", name="Ada")
    answer = post(client, put_together, "/merge", "north/ben", other="Ada")
    assert answer.headers["location"].startswith("/person?identity=Ada&merged=north%2Fben&")
    assert "north/ada north/ben south/ada south/ben" in people(put_together)
    assert post(client, put_together, "/merge", "north/ada", other="Ada").status_code == 400
    assert post(client, put_together, "/merge", "north/ada", other="nobody").status_code == 404
    log = (Path(put_together.uri) / "log.jsonl").read_text(encoding="utf-8")
    assert log.count('"what": "label"') == 1
    assert "Ada" not in log


def test_who_is_seen_at_once_is_not_merged(client, put_together, embed_people, put):
    ada = put_together.entry("north/ada")
    beside = embed_people([("north", "ben")], ids=["x"], starts=[ada.start + 1], ends=[ada.end + 1])
    put(put_together, beside, "stripes")
    client.post("/people")
    before = people(put_together)
    assert "north/ben south/ben x" in before
    answer = post(client, put_together, "/merge", "north/ada", other=home(put_together, "x"))
    assert answer.status_code == 409
    assert "north/ada and x cannot be one person, who would be in two places" in words(answer)
    assert (people(put_together), put_together.labels.all()) == (before, [])


def test_identities_of_a_model_that_is_gone_are_a_conflict(client, put_together, embed_people, put):
    put_together.settings.set("identities", {"model": "gone", "unlisted": -3.0})
    for path in ("/people", "/review", "/api/review"):
        answer = client.get(path)
        assert (answer.status_code, "no embeddings of the model gone" in words(answer)) == (
            409,
            True,
        )
    asked = {"id": "north/ada", "match": "south/ada"}
    assert client.post("/compare", params=asked, data={"same": "yes"}).status_code == 303
    assert len(put_together.labels.all()) == 1


def test_opening_a_person_is_no_search(client, put_together):
    client.get("/person", params={"identity": home(put_together, "north/ada")})
    *_, last = read_lines(Path(put_together.uri) / LOG_FILE)
    assert last["what"] == "person"
    assert len(last["where"]["ids"]) == 1


def test_the_sheet_needs_nothing_beside_it(client, put_together):
    sheet = client.get("/person/sheet", params={"identity": home(put_together, "north/ada")})
    assert sheet.headers["content-disposition"] == 'attachment; filename="person.html"'
    assert sheet.text.count("data:image/jpeg;base64,") == 2
    assert not re.search(r'<[a-z]+ [^>]*(src|href)="(?!data:)', sheet.text)
    assert "2 appearances before 2 cameras" in words(sheet)
    log = (Path(put_together.uri) / "log.jsonl").read_text(encoding="utf-8")
    assert log.count('"what": "export"') == 1
    answer = client.post("/forget", data={"id": "north/ada"}, follow_redirects=True)
    assert "person.html, downloaded 20" in words(answer)
    assert "tells of the forgotten; delete it" in words(answer)
