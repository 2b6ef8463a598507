import csv
import html
import io
import math
import re
from dataclasses import replace
from datetime import datetime
from urllib.parse import parse_qs, urlsplit

import cv2
import numpy as np
import pytest

from reseen.gallery.gallery import Gallery
from reseen.gallery.records import Filter
from reseen.times import day, span

MORNING = 1_718_006_400.0
"""10 June 2024, 08:00 UTC, when the first tracklet begins."""

QUERY = {"id": "north/ada"}
EVIL = '../../"><script>alert(1)</script>&?#%2e'


def page(client, path, **asked):
    answer = client.get(path, params=asked)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/html")
    return answer.text


def links(text, path):
    """Parameters of the page's links to a path, in order."""
    found = [urlsplit(html.unescape(link)) for link in re.findall(r'href="([^"]+)"', text)]
    return [parse_qs(link.query) for link in found if link.path == path and link.query]


def ids(text):
    return [link["id"][0] for link in links(text, "/tracklet")]


def compared(text):
    return [link["match"][0] for link in links(text, "/compare")]


def pressed(text):
    """The buttons that are shown as pressed."""
    return re.findall(r'<button[^>]*aria-pressed="true"[^>]*>([^<]+)<', text)


def words(text):
    """What a reader sees, in one line."""
    text = re.sub(r"(?s)<(style|script)>.*?</\1>", " ", text)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", text)))


# Tracklets


def test_the_first_page_lists_every_tracklet_by_time_with_its_pictures(client):
    text = page(client, "/tracklets")
    cameras = [f"{camera}/{who}" for camera in ("north", "south") for who in ("ada", "ben", "eve")]
    assert ids(text) == cameras
    assert text.count('class="first" loading="lazy" src="/api/thumbnail?id=') == 6
    seen = span(MORNING, MORNING + 305)
    assert f"6 appearances, 2 cameras, {seen}." in words(text)
    assert day(MORNING) in words(text)


def test_the_root_leads_to_the_tracklets(client):
    answer = client.get("/")
    assert (answer.status_code, answer.headers["location"]) == (303, "/tracklets")


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"camera": "south"}, ["south/ada", "south/ben", "south/eve"]),
        ({"start": "2024-06-10T08:04+00:00"}, ["south/ben", "south/eve"]),
        ({"end": "2024-06-10T08:01:30+00:00"}, ["north/ada", "north/ben"]),
        ({"camera": "north", "start": "2024-06-10T08:00:06+00:00"}, ["north/ben", "north/eve"]),
        ({"camera": "south", "end": "2024-06-10T08:01:30+00:00"}, []),
    ],
)
def test_filters_by_camera_and_time(client, asked, found):
    text = page(client, "/tracklets", **asked)
    assert ids(text) == found
    assert f"{len(found)} appearances of 6" in words(text)
    assert ("No appearance fits these filters." in words(text)) == (not found)
    for value in asked.values():
        assert f'value="{html.escape(value)}"' in text


def test_a_browsers_field_for_a_time_keeps_what_was_typed_on_the_local_clock(client):
    typed = datetime.fromtimestamp(MORNING + 240).isoformat(timespec="minutes")
    text = page(client, "/tracklets", start=typed)
    assert ids(text) == ["south/ben", "south/eve"]
    assert f'type="datetime-local" name="start" value="{typed}"' in text


def test_fifty_tracklets_on_a_page(client, gallery, embed_people, put):
    more = embed_people([("west", "ada")] * 100)
    put(gallery, replace(more, ids=[f"w{number:03}" for number in range(100)]), "stripes")
    first, second, third = (ids(page(client, "/tracklets", page=number)) for number in (1, 2, 3))
    assert [len(first), len(second), len(third)] == [50, 50, 6]
    assert len({*first, *second, *third}) == 106
    text = page(client, "/tracklets", page=2, camera="west")
    assert "Page 2 of 2" in words(text)
    assert links(text, "/tracklets")[-1] == {"camera": ["west"], "page": ["1"]}
    assert "beyond the last appearance" in words(page(client, "/tracklets", page=9))


def test_an_empty_gallery_says_how_to_fill_it(gallery, client):
    for entry in gallery.entries():
        client.post("/forget", data={"id": entry.id})
    text = page(client, "/tracklets", forgotten=1)
    assert "This gallery is empty." in words(text)
    assert "reseen gallery add" in words(text)
    assert "1 appearance forgotten." in words(text)
    assert "No picture can be searched for yet." in words(page(client, "/pictures"))
    assert client.get("/tracklet", params=QUERY).status_code == 404


def test_names_never_become_markup(client, gallery, embed_people, put):
    evil = embed_people([("north", "ben")], ids=[EVIL], cameras=[EVIL], sources=[EVIL])
    put(gallery, evil, "stripes")
    client.post("/tracklet", params=QUERY, data={"match": EVIL, "same": "yes", "place": 1})
    for path, asked in {
        "/tracklets": {"camera": EVIL, "start": "0"},
        "/tracklet": {"id": EVIL},
        "/compare": QUERY | {"match": EVIL},
        "/forget": {"id": EVIL},
        "/labels": {},
        "/about": {},
    }.items():
        text = page(client, path, **asked)
        assert "<script>alert" not in text
        assert "&lt;script&gt;alert" in text
    assert EVIL in ids(page(client, "/tracklets"))
    for path, asked in {"/tracklet": {"id": EVIL + "no"}, "/tracklets": {"start": EVIL}}.items():
        assert "<script>alert" not in client.get(path, params=asked).text


# Matches


def test_the_same_person_in_the_other_camera_comes_first(client):
    for who in ("ada", "ben", "eve"):
        text = page(client, "/tracklet", id=f"north/{who}")
        assert compared(text)[0] == f"south/{who}"
        assert len(compared(text)) == 3
        text = page(client, "/tracklet", id=f"north/{who}", own_camera=1)
        assert compared(text)[0] == f"south/{who}"
        assert len(compared(text)) == 5


def test_one_camera_is_searched_where_there_is_no_other(client, gallery):
    gallery.forget(Filter(camera="south"))
    assert compared(page(client, "/tracklet", **QUERY)) != []
    assert "Its own camera, too" not in page(client, "/tracklet", **QUERY)


def test_nobody_in_other_cameras_leads_to_the_own(client):
    text = page(client, "/tracklet", id="south/eve", end="2024-06-10 08:00:01+00:00")
    assert compared(text) == ["north/ada"]
    text = page(client, "/tracklet", id="north/ada", end="2024-06-10 08:01:30+00:00")
    assert compared(text) == []
    lifted = links(text, "/tracklet")[-1]
    assert lifted["own_camera"] == ["1"]
    text = page(client, "/tracklet", **{name: value for name, (value,) in lifted.items()})
    assert compared(text) == ["north/ben"]


def test_nobody_is_here_where_no_match_is_likely_enough(client, gallery, make_calibration):
    assert "Probability at least" not in page(client, "/tracklet", **QUERY)
    gallery.settings.keep_calibration(make_calibration("stripes", intercept=8.0, slope=16.0))
    text = words(page(client, "/tracklet", **QUERY, at_least=0.5))
    assert "Nobody here" not in text
    assert text.count("Unlikely") == 1
    gallery.forget(Filter(ids=("south/ada",)))
    text = page(client, "/tracklet", **QUERY, at_least=0.5)
    assert (
        "Nobody here. No match has a probability of 50 % or more of being the same person."
        in words(text)
    )
    assert words(text).index("Nobody here") < words(text).index("Unlikely")
    assert len(compared(text)) == 2
    assert "Nobody here" not in words(page(client, "/tracklet", **QUERY))
    client.post("/tracklet", params=QUERY, data={"match": "south/eve", "same": "yes", "place": 2})
    text = words(page(client, "/tracklet", **QUERY, at_least=0.5))
    assert "Nobody here" not in text  # a human has said so


def test_labels_lift_and_hide_matches(client):
    first, second, third = compared(page(client, "/tracklet", **QUERY))
    for match, same in ((third, "yes"), (first, "no")):
        client.post("/tracklet", params=QUERY, data={"match": match, "same": same, "place": 1})
    text = page(client, "/tracklet", **QUERY)
    assert compared(text) == [third, second, first]
    hidden = text[text.index("<details><summary>1 match labelled as someone else") :]
    assert compared(hidden) == [first]
    comparison = page(client, "/compare", **QUERY, match=second)
    assert "Match 2 of 3" in words(comparison)
    assert compared(comparison) == [third, first]


def test_distances_of_stripes_are_called_that_and_carry_no_probability(client, gallery):
    first, second = (gallery.query(id, "stripes").embedding for id in ("north/ada", "south/ada"))
    text = words(page(client, "/tracklet", **QUERY))
    assert f"Distance by colours {np.linalg.norm(first - second):.3f}" in text
    assert "No network has been trained" in text
    assert "Probability of being" not in text
    assert "reseen calibrate" in text


def test_stripes_stand_beside_a_networks_distances_and_calibrated_probabilities(
    client, gallery, embed_people, put, make_calibration
):
    people = [("north", "ada"), ("south", "ada")]
    features = np.float32(np.eye(2, 128) * [[3.0], [4.0]])
    put(gallery, embed_people(people, features=features), "run-1")
    first, second = (gallery.query(id, "stripes").embedding for id in ("north/ada", "south/ada"))
    text = words(page(client, "/tracklet", **QUERY))
    assert "the model is run-1" in text
    assert "Distance by the model 5.000" in text
    assert f"Distance by colours {np.linalg.norm(first - second):.3f}" in text
    assert "Probability of being" not in text
    gallery.settings.keep_calibration(make_calibration("run-1", intercept=4.0, slope=1.0))
    text = words(page(client, "/tracklet", **QUERY))
    assert f"Probability of being the same person {100 / (1 + math.exp(1)):.0f} %" in text
    text = words(page(client, "/tracklet", **QUERY, model="stripes"))
    assert text.index("Distance by colours") < text.index("Distance by run-1")


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, {"south/ada", "south/ben", "south/eve"}),
        ({"own_camera": "1"}, 5),
        ({"camera": "north"}, {"north/ben", "north/eve"}),
        ({"start": "2024-06-10 08:05+00:00"}, {"south/eve"}),
        ({"k": "2", "own_camera": "1", "at_least": "0.5"}, 2),
    ],
)
def test_filters_of_matches_stay_in_every_address(client, asked, found):
    text = page(client, "/tracklet", **QUERY, **asked)
    if isinstance(found, set):
        assert set(compared(text)) == found
    else:
        assert len(compared(text)) == found
    for link in links(text, "/compare"):
        assert {name: value for name, (value,) in link.items()}.items() >= asked.items()
    comparison = page(client, "/compare", **QUERY, match="south/eve", **asked)
    assert links(comparison, "/tracklet")[0] == {
        name: [value] for name, value in (QUERY | asked).items()
    }


def test_a_comparison_leads_on_through_the_matches(client):
    ranked = compared(page(client, "/tracklet", **QUERY))
    text = page(client, "/compare", **QUERY, match=ranked[1])
    assert "Match 2 of 3" in words(text)
    assert compared(text) == [ranked[0], ranked[2]]
    assert text.count('src="/api/thumbnail?id=') == 4  # two moving and two as strips
    alone = page(client, "/compare", **QUERY, match="north/ben", camera="south")
    assert "Found" in words(alone)
    assert compared(alone) == []


# Marks


def test_a_label_is_kept_shown_and_replaced(client, gallery):
    asked = QUERY | {"camera": "south", "k": "10"}
    for said, same in (("yes", "Same person"), ("no", "Someone else")):
        answer = client.post(
            "/tracklet", params=asked, data={"match": "south/ada", "same": said, "place": "3"}
        )
        assert answer.status_code == 303
        assert answer.headers["location"] == "/tracklet?id=north%2Fada&camera=south&k=10#3"
        text = page(client, "/tracklet", **asked)
        assert pressed(text) == [same]
        assert words(page(client, "/labels")).count(f"{same} north,") == 1
    (mark,) = gallery.labels.all()
    assert (mark.query, mark.match, mark.same) == ("north/ada", "south/ada", False)
    assert "Labelled as someone else." in words(
        page(client, "/compare", **QUERY, match="south/ada")
    )


def test_a_label_is_taken_back_by_pressing_it_again(client, gallery):
    asked = QUERY | {"match": "south/ada"}
    client.post("/compare", params=asked, data={"same": "yes"})
    text = page(client, "/compare", **asked)
    assert "Press the button again to take that back." in words(text)
    assert 'name="same" value="nothing" aria-pressed="true"' in text
    client.post("/compare", params=asked, data={"same": "nothing", "shown": "yes"})
    assert gallery.labels.all() == []
    assert pressed(page(client, "/compare", **asked)) == []


def test_a_page_that_shows_less_than_others_said_meanwhile_changes_nothing(client, gallery):
    asked = QUERY | {"match": "south/ada"}
    client.post("/compare", params=asked, data={"same": "yes"})
    for path, asked_for, more in (
        ("/compare", asked, {}),
        ("/tracklet", QUERY, {"match": "south/ada", "place": 1}),
    ):
        stale = client.post(
            path,
            params=asked_for,
            data=more | {"same": "no", "shown": "nothing"},
            headers={"Referer": "http://127.0.0.1:8000/tracklet?id=north/ada&k=10"},
        )
        assert stale.status_code == 409
        assert "as the same person meanwhile" in words(stale.text)
        assert 'href="/tracklet?id=north/ada&amp;k=10"' in stale.text
    assert [label.same for label in gallery.labels.all()] == [True]
    same = client.post("/compare", params=asked, data={"same": "yes", "shown": "nothing"})
    assert same.status_code == 303  # sent twice


@pytest.mark.parametrize("referer", ["https://elsewhere.example/x", "", "http://127.0.0.1:8000//x"])
def test_a_refusal_leads_back_to_no_other_site(client, referer):
    asked = QUERY | {"match": "south/nobody"}
    headers = {"Referer": referer}
    answer = client.post("/compare", params=asked, data={"same": "no"}, headers=headers)
    assert "elsewhere" not in answer.text
    assert 'href="//x' not in answer.text


def test_a_label_holds_from_both_sides(client):
    client.post("/compare", params=QUERY | {"match": "south/ada"}, data={"same": "yes"})
    text = page(client, "/tracklet", id="south/ada")
    assert pressed(text) == ["Same person"]


def test_labels_can_be_taken_away_as_pairs_to_train_with(client):
    client.post("/compare", params=QUERY | {"match": "south/ada"}, data={"same": "yes"})
    client.post("/compare", params=QUERY | {"match": "south/eve"}, data={"same": "no"})
    text = page(client, "/labels")
    assert 'href="/api/labels.csv"' in text
    assert 'href="/api/labels"' in text
    rows = list(csv.DictReader(io.StringIO(client.get("/api/labels.csv").text)))
    assert [(row["query"], row["match"], row["same"]) for row in rows] == [
        ("north/ada", "south/ada", "True"),
        ("north/ada", "south/eve", "False"),
    ]
    assert {row["match_source"] for row in rows} == {"films/south.mp4"}
    as_json = client.get("/api/labels").json()
    assert [pair["same"] for pair in as_json] == [True, False]
    assert as_json[0]["query_camera"] == "north"
    answer = client.post("/forget", data={"id": "south/eve"}, follow_redirects=True)
    assert "labels.csv, downloaded" in answer.text


def test_many_labels_are_shown_from_the_latest(client, gallery, embed_people, put):
    more = embed_people([("west", "ada")] * 60)
    ids = [f"w{number:02}" for number in range(60)]
    put(gallery, replace(more, ids=ids), "stripes")
    for id in ids:
        gallery.labels.add("north/ada", id, same=True)
    text = page(client, "/labels")
    assert "60 pairs labelled by people" in words(text)
    assert "The latest 50 are shown" in words(text)
    assert compared(text) == ids[:9:-1]
    assert len(client.get("/api/labels").json()) == 60


@pytest.mark.parametrize(
    ("match", "same", "status"),
    [("south/nobody", "yes", 404), ("north/ada", "yes", 400), ("south/ada", "maybe", 422)],
)
def test_verdicts_that_make_no_sense_are_refused(client, gallery, match, same, status):
    answer = client.post("/compare", params=QUERY | {"match": match}, data={"same": same})
    assert answer.status_code == status
    assert gallery.labels.all() == []


# Forgetting


def test_forgetting_asks_first_and_then_leaves_nothing_on_the_disk(client, gallery, tmp_path):
    strip = gallery.thumbnails(["north/ada"])["north/ada"]
    client.post("/compare", params=QUERY | {"match": "south/ada"}, data={"same": "yes"})
    text = page(client, "/forget", **QUERY)
    assert "Forget this appearance for good?" in words(text)
    assert 'type="checkbox" name="id" value="south/ada"' in text
    assert "north/ada" in ids(page(client, "/tracklets"))
    answer = client.post("/forget", data={"id": "north/ada"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/tracklets?forgotten=1")
    assert client.get("/tracklet", params=QUERY).status_code == 404
    assert gallery.labels.all() == []
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert not any(strip in path.read_bytes() for path in files)
    assert "1 appearance forgotten." in words(page(client, "/tracklets", forgotten=1))


def test_those_marked_as_the_same_person_may_go_too(client, gallery):
    answer = client.post("/forget", data={"id": ["north/ada", "south/ada"]})
    assert answer.headers["location"] == "/tracklets?forgotten=2"
    assert gallery.count() == 4
    assert client.post("/forget", data={"id": ["north/ada"]}).status_code == 404
    assert client.post("/forget", data={}).status_code == 422


def test_what_another_process_forgot_is_gone_here(client, gallery):
    page(client, "/tracklets")
    Gallery.open(gallery.uri).forget(Filter(camera="south"))
    assert ids(page(client, "/tracklets")) == ["north/ada", "north/ben", "north/eve"]
    assert "south" not in page(client, "/about")


# Errors and other pages


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/nowhere", 404, "There is nothing at /nowhere."),
        ("/tracklet?id=nobody", 404, "no tracklet nobody"),
        ("/tracklet", 422, "id: Field required"),
        ("/compare?id=north/ada&match=nobody", 404, "no tracklet nobody"),
        ("/compare?id=north/ada&match=north/ada", 404, "no tracklet north/ada to compare"),
        ("/forget?id=nobody", 404, "no tracklet nobody"),
        ("/tracklets?start=noon", 400, "“noon” is no time"),
        ("/tracklets?page=0", 422, "page:"),
        ("/tracklet?id=north/ada&k=1000000", 422, "k:"),
        ("/tracklets?model=gone", 404, "no tracklets of the model gone; there are stripes."),
        ("/tracklets?camera=gone", 404, "There is no camera gone; there are north, south."),
        ("/tracklet?id=north/ada&camera=gone", 404, "There is no camera gone; there are north"),
        ("/api/matches?id=north/ada&camera=gone", 404, "There is no camera gone; there are north"),
    ],
)
def test_errors_are_pages_in_plain_words(client, path, status, said):
    answer = client.get(path)
    assert answer.status_code == status
    assert said in words(answer.text)
    assert path.startswith("/api") or "Go to the appearances" in words(answer.text)


def test_a_damaged_gallery_is_named_as_such(client, gallery, tmp_path):
    for data in (tmp_path / "gallery" / "tracklets.lance" / "data").iterdir():
        data.write_bytes(b"nothing")
    answer = client.get("/tracklets")
    assert answer.status_code == 503
    assert "The gallery cannot answer" in words(answer.text)
    assert "cannot be read" in words(answer.text)


def test_no_page_loads_anything_from_elsewhere(client):
    asked = {"/tracklet": QUERY, "/compare": QUERY | {"match": "south/ada"}, "/forget": QUERY}
    for path in (
        "/tracklets",
        "/tracklet",
        "/compare",
        "/forget",
        "/labels",
        "/pictures",
        "/about",
    ):
        text = page(client, path, **asked.get(path, {}))
        for address in re.findall(r'(?:href|src|action)="([^"]*)"', text):
            assert re.match(r"/(?!/)|#|data:image/", address), address
        assert "a person must look before anything is decided about anybody" in words(text)
        itself = text.replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?:|url\((?!\"data:)|@import|<link rel=\"stylesheet", itself)


def test_pictures_that_are_sent_find_the_person_and_are_not_kept(client, draw_pictures, tmp_path):
    before = {path: path.stat().st_size for path in tmp_path.rglob("*.lance")}
    files = [
        ("pictures", ("eve.png", cv2.imencode(".png", picture[:, :, ::-1])[1].tobytes()))
        for picture in draw_pictures("eve", seed=9)
    ]
    answer = client.post("/pictures", files=files, data={"model": "stripes"})
    assert answer.status_code == 200
    assert {*ids(answer.text)[:2]} == {"north/eve", "south/eve"}
    assert {path: path.stat().st_size for path in tmp_path.rglob("*.lance")} == before
