"""The gallery's commands: what they print can be typed in again, and numbers have their range."""

import json
import re

import cv2
import numpy as np
import pytest

from reseen.cli import run
from reseen.files import write_json
from reseen.gallery.gallery import Gallery

LATER = {"hall": None, "yard": "2026-05-01T10:00:00+00:00", "gate": "2026-05-01T10:10:00+00:00"}


@pytest.fixture
def tracked(tmp_path):
    """Folders as `track` writes them: five people, one a minute; the hall has no date."""
    random = np.random.default_rng(0)
    for camera, begun in LATER.items():
        rows = []
        for number in range(5):
            name = f"{camera}-{number}"
            (tmp_path / camera / name).mkdir(parents=True)
            for frame in range(2):
                picture = random.integers(0, 256, (64, 32, 3), np.uint8)
                assert cv2.imwrite(str(tmp_path / camera / name / f"{frame}.jpg"), picture)
            rows.append(
                {
                    "id": name, "camera": camera, "source": f"{camera}.mp4", "crops": 2,
                    "start_seconds": 60.4 * number, "end_seconds": 60.4 * number + 2,
                    "first_frame": 1, "last_frame": 2,
                }
            )  # fmt: skip
        document = {"source": f"{camera}.mp4", "camera": camera, "start": begun, "counts": {}}
        write_json(tmp_path / camera / "tracklets.json", document | {"tracklets": rows})
    return tmp_path


def lines(capsys, *arguments):
    assert run([str(argument) for argument in arguments]) == 0
    return capsys.readouterr().out.splitlines()


def listed(capsys, gallery, *filters):
    """Tracklets of a list, with the times as printed."""
    rows = lines(capsys, "gallery", "list", gallery, *filters)
    found = (re.fullmatch(r" *(\w+-\d) +(\w+) +(\S.*\S) +2 *", row) for row in rows)
    return {row[1]: row[3] for row in found if row}


@pytest.mark.parametrize("camera", ["hall", "yard"])
def test_a_time_that_is_listed_can_be_asked_for(tracked, capsys, camera):
    gallery = tracked / "gallery"
    lines(capsys, "gallery", "add", gallery, tracked / camera)
    times = listed(capsys, gallery)
    assert len(times) == 5
    since = listed(capsys, gallery, "--since", times[f"{camera}-3"])
    assert list(since) == [f"{camera}-3", f"{camera}-4"]

    lines(capsys, "gallery", "list", gallery, "--json", tracked / "list.json")
    fourth = json.loads((tracked / "list.json").read_text())[3]["start"]
    assert list(listed(capsys, gallery, "--since", fourth)) == list(since)


def test_a_gallery_of_recordings_with_and_without_a_date_says_so(tracked, capsys):
    gallery = tracked / "gallery"
    for camera, mixed in (("yard", False), ("gate", False), ("hall", True)):
        assert run(["gallery", "add", str(gallery), str(tracked / camera)]) == 0
        assert ("5 tracklets have none" in capsys.readouterr().err) == mixed
    stats = "\n".join(lines(capsys, "gallery", "stats", gallery))
    assert re.search(r"first seen +2026-0", stats)
    assert re.search(r"without a date +5\b", stats)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["list", "g", "--since", "nan"], "“nan” is no time"),
        (["list", "g", "--until", "inf"], "“inf” is no time"),
        (["list", "g", "--limit", "0"], "1 or more"),
        (["keep", "g", "inf"], "above 0"),
        (["keep", "g", "--days", "nan"], "above 0"),
        (["keep", "g", "--days", "-1"], "above 0"),
        (["add", "g", "f", "--keep-days", "nan"], "above 0"),
        (["add", "g", "f", "--keep-days", "0"], "above 0"),
        (["forget", "g", "--like", "a", "--distance", "nan"], "0 or more"),
    ],
)
def test_numbers_out_of_their_range_are_refused(capsys, tmp_path, monkeypatch, arguments, word):
    monkeypatch.chdir(tmp_path)
    assert run(["gallery", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert word in line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments",
    [
        ["search", "g", "t", "--count", "0"],
        ["search", "g", "--video", "v", "--at", "nan"],
        ["calibrate", "g", "--root", "r", "--prior", "1.5"],
        ["serve", "g", "--port", "65536"],
        ["track", "v", "--camera", "c", "--out", "o", "--fps", "inf"],
        ["track", "v", "--camera", "c", "--out", "o", "--min-length", "0"],
        ["track", "v", "--camera", "c", "--out", "o", "--start", "0:02:05"],
        ["synthesize", "o", "--twins", "nan"],
        ["synthesize", "o", "--seed", "-1"],
        ["train", "s", "--out", "o", "--trial", "-1"],
        ["reproduce", "s", "--out", "o", "--trials", "0"],
    ],
)
def test_every_number_has_its_range(capsys, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    assert run(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(r'Invalid value "\S+" for (--)?[\w-]+\. It must be|is no date; write', line)
    assert not list(tmp_path.iterdir())


def test_without_a_model_the_galleries_own_is_taken_or_the_best(tracked, tmp_path, capsys):
    """lite0 in a new gallery, with a word on what is better; later what the gallery has."""
    fresh, coloured = tmp_path / "fresh", tmp_path / "coloured"
    assert run(["gallery", "add", str(fresh), str(tracked / "hall")]) == 0
    assert "reseen models get osnet-x0-25" in capsys.readouterr().err
    assert Gallery.open(fresh).model() == "lite0-57934424"
    assert run(["search", str(fresh), "--crops", str(next((tracked / "hall").glob("*/")))]) == 0
    for camera, options in (("hall", ["--model", "stripes"]), ("yard", [])):
        assert run(["gallery", "add", str(coloured), str(tracked / camera), *options]) == 0
    assert Gallery.open(coloured).models() == ["stripes"]


def test_a_network_that_was_loaded_is_taken_and_named(
    tracked, tmp_path, capsys, shared_data, monkeypatch
):
    monkeypatch.setenv("RESEEN_MODELS", str(tmp_path / "models"))
    (tmp_path / "models").mkdir()
    network = shared_data / "models" / "osnet_x0_25_msmt17.onnx"
    (tmp_path / "models" / "osnet-x0-25.onnx").write_bytes(network.read_bytes())
    assert run(["gallery", "add", str(tmp_path / "g"), str(tracked / "hall")]) == 0
    assert "embedding with osnet-x0-25, which was loaded" in capsys.readouterr().err
    assert Gallery.open(tmp_path / "g").model() == "osnet-x0-25-imagenet-dddd73c80b78"


def test_tokens_are_told_once_and_listed_without_their_secret(tmp_path, capsys):
    place = str(tmp_path / "gallery")
    Gallery.open(place, create=True).videos.fail("a.mp4", "hall", "damaged")
    tokens, told = ["gallery", "tokens", place], tmp_path / "tokens.json"
    assert run([*tokens, "--new", "anna", "--role", "manage"]) == 0
    token, listed = capsys.readouterr().out.split("\n", 1)
    assert len(token) == 32
    assert "anna" in listed
    assert run([*tokens, "--revoke", "anna", "--json", str(told)]) == 0
    assert token not in capsys.readouterr().out + told.read_text()
    (kept,) = json.loads(told.read_text())
    assert (kept["name"], kept["role"]) == ("anna", "manage")
    assert kept["made"] <= kept["revoked"]
    assert run([*tokens, "--revoke", "anna"]) == 2


def test_the_log_is_kept_for_as_long_as_was_said(tmp_path, capsys):
    place = str(tmp_path / "gallery")
    Gallery.open(place, create=True).videos.fail("a.mp4", "hall", "damaged")
    assert run(["gallery", "keep-log", place, "30"]) == 0
    assert Gallery.open(place).settings.log_days == 30
    assert run(["gallery", "keep-log", place]) == 0
    assert Gallery.open(place).settings.log_days is None
    assert "kept for 30 days" in capsys.readouterr().out
    assert run(["gallery", "keep-log", place, "0"]) == 2
