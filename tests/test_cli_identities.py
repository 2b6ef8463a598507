"""Who is who, as commands: identified, calibrated on labels, and told in one line why not."""

import json

import numpy as np
import pytest

from reseen.cli import run
from reseen.gallery.gallery import Gallery
from reseen.gallery.records import NewTracklets

PERSONS = [number % 12 for number in range(48)]


def fill(gallery, persons, first=0):
    random = np.random.default_rng(first)
    centres = np.random.default_rng(99).normal(size=(20, 16))
    vectors = centres[persons] + 0.25 * random.normal(size=(len(persons), 16))
    numbers = range(first, first + len(persons))
    tracklets = NewTracklets(
        ids=[f"t{number:03d}" for number in numbers],
        cameras=[("north", "south", "yard")[number % 3] for number in numbers],
        sources=["film"] * len(persons),
        starts=[60.0 * number for number in numbers],
        ends=[60.0 * number + 5 for number in numbers],
        frames=[8] * len(persons),
    )
    gallery.add_embedded(tracklets, {"net": vectors.astype(np.float32)})


@pytest.fixture
def gallery(tmp_path):
    opened = Gallery.open(tmp_path / "gallery", create=True)
    fill(opened, PERSONS)
    return opened


def label_pairs(gallery, count=40):
    for place in range(count):
        other = place + 12 if place % 2 and place + 12 < 48 else (place + 5) % 48
        same = PERSONS[place] == PERSONS[other]
        gallery.labels.add(f"t{place:03d}", f"t{other:03d}", same=same)


def test_labels_calibrate_and_people_are_identified(gallery, tmp_path, capsys):
    label_pairs(gallery)
    assert run(["calibrate", gallery.uri, "--model", "net", "--from-labels"]) == 0
    assert run(["identify", gallery.uri, "--json", str(tmp_path / "who.json")]) == 0
    who = json.loads((tmp_path / "who.json").read_text())
    by_person = {}
    for member in who:
        by_person.setdefault(PERSONS[int(member["id"][1:])], set()).add(member["identity"])
    assert all(len(identities) == 1 for identities in by_person.values())
    assert len({member["identity"] for member in who}) == 12
    assert "people" in capsys.readouterr().out
    fill(gallery, [3, 15], first=48)
    assert run(["identify", gallery.uri, "--new", "--json", str(tmp_path / "who.json")]) == 0
    joined = {each["id"]: each for each in json.loads((tmp_path / "who.json").read_text())}
    assert joined["t048"]["identity"] == joined["t003"]["identity"]
    assert joined["t049"]["probability"] is None


def test_calibrations_are_listed_and_removed(gallery, capsys):
    label_pairs(gallery)
    assert run(["calibrate", gallery.uri, "--model", "net", "--from-labels"]) == 0
    assert run(["gallery", "stats", gallery.uri]) == 0
    assert "calibrated net" in " ".join(capsys.readouterr().out.split())
    assert run(["gallery", "calibrations", gallery.uri]) == 0
    assert "labels" in capsys.readouterr().out
    assert run(["gallery", "calibrations", gallery.uri, "--remove", "net"]) == 0
    assert "no match has a probability" in capsys.readouterr().err
    assert run(["identify", gallery.uri]) == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["identify", "GALLERY"], "has no calibration of net"),
        (["identify", "GALLERY", "--travel", "north"], "north is no way between two cameras"),
        (["identify", "GALLERY", "--travel", "a:b:soon"], "write it as hall:yard:20"),
        (["calibrate", "GALLERY"], "name either labelled people"),
        (["calibrate", "GALLERY", "--from-labels", "--root", "x"], "name either labelled people"),
        (["calibrate", "GALLERY", "--model", "net", "--from-labels"], "only 0 pairs"),
        (["gallery", "calibrations", "GALLERY", "--remove", "no"], "no has no calibration here"),
    ],
)
def test_what_cannot_be_done_is_one_line(gallery, capsys, arguments, says):
    assert run([gallery.uri if word == "GALLERY" else word for word in arguments]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


def test_labels_that_say_nothing_are_no_calibration(gallery, capsys):
    random = np.random.default_rng(0)
    for place in range(47):
        gallery.labels.add(f"t{place:03d}", f"t{place + 1:03d}", same=bool(random.random() < 0.5))
    assert run(["calibrate", gallery.uri, "--model", "net", "--from-labels"]) == 2
    assert "says no more than their prior" in capsys.readouterr().err


def test_nobody_here_is_said_first_and_the_rest_is_called_unlikely(
    gallery, capsys, make_calibration
):
    asked = ["search", gallery.uri, "t000", "--count", "3", "--at-least", "0.5"]
    assert run(asked) == 2
    assert "net has no calibration" in capsys.readouterr().err
    gallery.settings.keep_calibration(make_calibration("net", intercept=12.0, slope=4.0))
    assert run(asked) == 0
    out = capsys.readouterr().out
    assert "nobody here" not in out
    assert "unlikely" not in out
    gallery.settings.keep_calibration(make_calibration("net", intercept=-12.0, slope=4.0))
    assert run(asked) == 0
    out = capsys.readouterr().out
    assert out.startswith("nobody here: no match is the same person with a probability of 50%")
    assert out.count("unlikely") == 3
    assert run(asked[:-2]) == 0
    assert "unlikely" not in capsys.readouterr().out
