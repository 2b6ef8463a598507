"""Where messages go, and the commands about the program itself."""

import json
import os
import subprocess
import sys
import tomllib

import pytest

from reseen.cli import about, run
from reseen.errors import ReseenError
from reseen.models.catalogue import catalogue
from reseen.network.config import PRESETS, Config
from reseen.times import read


@pytest.fixture
def people(tmp_path, draw_person):
    """A folder of four people before two cameras, one of whose pictures is broken."""
    import cv2

    for person in ("ada", "benno", "eve-maria", "al"):
        for camera in ("a", "b"):
            (tmp_path / "people" / person / camera).mkdir(parents=True)
            for frame in range(2):
                path = tmp_path / "people" / person / camera / f"{frame}.png"
                cv2.imwrite(str(path), draw_person(len(person), frame))
    (tmp_path / "people" / "ada" / "a" / "0.png").write_bytes(b"no picture")
    return tmp_path / "people"


def test_progress_notes_and_mistakes_go_to_stderr_and_quiet_leaves_progress_out(
    people, tmp_path, capsys
):
    prepare = ["prepare", "folder", str(people), "--out"]
    assert run([*prepare, str(tmp_path / "one")]) == 0
    loud = capsys.readouterr()
    assert run([*prepare, str(tmp_path / "two"), "--quiet"]) == 0
    quiet = capsys.readouterr()
    assert quiet.out == loud.out.replace("one", "two")
    notes = [line for line in loud.err.splitlines() if line.startswith("note: ")]
    assert notes
    assert quiet.err.splitlines() == notes
    assert " frames in " in loud.err
    assert run(["--quiet", "prepare", "folder", "absent", "--out", "store"]) == 2
    assert capsys.readouterr().err.startswith("reseen: ")


def test_a_log_file_takes_everything_with_its_time(people, tmp_path, capsys):
    log = tmp_path / "log.txt"
    prepare = ["prepare", "folder", str(people), "--out", str(tmp_path / "store")]
    assert run([*prepare, "--quiet", "--log", str(log)]) == 0
    assert run(["presets", "qick", "--log", str(log)]) == 2
    shown = capsys.readouterr().err
    text = log.read_text(encoding="utf-8")
    for line in shown.splitlines():
        assert line in text
    assert "Traceback" in text, "where a mistake came up"
    assert "Traceback" not in shown
    assert text.count("DEBUG reseen ") == 2, "both commands are in it"
    first = text.splitlines()[0]
    assert read(first[:24]) > 1.7e9


def test_what_may_be_secret_is_not_logged(tmp_path):
    log = tmp_path / "log.txt"
    assert run(["serve", "absent", "--token", "0123456789abcdefgh", "--log", str(log)]) == 2
    assert "serve" in log.read_text()
    assert "0123456789" not in log.read_text()


def test_verbose_says_where_a_mistake_came_up(capsys):
    assert run(["presets", "qick", "--verbose"]) == 2
    error = capsys.readouterr().err
    assert "torch " in error.splitlines()[0]
    assert "Traceback" in error
    assert "did you mean 'quick'?" in error


def test_a_log_that_cannot_be_written_is_one_line(tmp_path, capsys):
    assert run(["presets", "--log", str(tmp_path)]) == 2
    assert f"cannot write {tmp_path}: it is a folder; name a file" in capsys.readouterr().err
    os.mkfifo(tmp_path / "nobody-reads")
    assert run(["presets", "--log", str(tmp_path / "nobody-reads")]) == 2
    assert "it is a device or a pipe; name a file" in capsys.readouterr().err


def test_version_names_what_results_depend_on(capsys):
    assert run(["--version"]) == 0
    words = capsys.readouterr().out.split()
    assert words[0] == "reseen"
    assert {"Python", "torch", "device"} <= set(words)


def test_presets_are_listed_and_each_can_be_changed_and_used(tmp_path, capsys):
    assert run(["presets"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == [*PRESETS]
    assert all(len(line) > 40 for line in lines), "each says what it is for"
    assert run(["presets", "tuned"]) == 0
    shown = capsys.readouterr().out
    assert Config.from_mapping(tomllib.loads(shown), "shown") == Config.preset("tuned")


def test_doctor_finds_this_machine_well(capsys):
    assert run(["doctor"]) in (0, 1)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(about.EXAMINATIONS)
    assert not [line for line in lines if line.startswith("broken")]


def refuse():
    raise ReseenError("it does not work")


def be_scarce():
    raise about._ScarceError("nearly full")


@pytest.mark.parametrize(
    ("examinations", "code", "words"),
    [
        ({"disk": be_scarce}, 1, "scarce  disk: nearly full"),
        ({"codecs": refuse, "disk": be_scarce}, 2, "broken  codecs: ReseenError: it does"),
        ({"packages": lambda: __import__("absent_package")}, 2, "broken  packages: ModuleNot"),
    ],
)
def test_doctor_ends_with_the_worst(monkeypatch, capsys, examinations, code, words):
    monkeypatch.setattr(about, "EXAMINATIONS", {"well": lambda: "yes", **examinations})
    assert run(["doctor"]) == code
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "ok      well: yes"
    assert lines[1].startswith(words)
    assert len(lines) == 1 + len(examinations), "it goes on after a fault"


def test_a_missing_package_and_a_full_disk_are_found(monkeypatch, tmp_path):
    needed = ["absent-one<5,>=4", "rich>=13", "absent_two>=1; extra == 'dev'"]
    monkeypatch.setattr(about.metadata, "requires", lambda _: needed)
    with pytest.raises(ReseenError, match="absent-one not installed; install reseen again"):
        about._packages()
    monkeypatch.setattr(about.metadata, "requires", lambda _: needed[1:])
    assert about._packages() == f"rich {about.metadata.version('rich')}"
    monkeypatch.setattr(about, "LEAST_FREE", float("inf"))
    with pytest.raises(about._ScarceError, match="are free"):
        about._room_in(tmp_path)
    with pytest.raises(FileNotFoundError):
        about._room_in(tmp_path / "absent")


def test_a_network_file_that_is_cut_off_is_found(monkeypatch, tmp_path):
    monkeypatch.setenv("RESEEN_MODELS", str(tmp_path))
    assert about._models() == "lite0", "which comes with the base install"
    entry = next(one for one in catalogue().values() if one.path.is_relative_to(tmp_path))
    entry.path.parent.mkdir(parents=True, exist_ok=True)
    entry.path.write_bytes(b"half")
    with pytest.raises(ReseenError, match=f"{entry.name} cut off; see reseen models verify"):
        about._models()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_can_complete_commands(shell, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "reseen", "--install-completion", "--shell", shell],
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    scripts = [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    assert any("prepare" in script and "--preset" in script for script in scripts), done.stdout


def test_what_check_and_prepare_find_can_be_had_as_json(people, tmp_path):
    found = tmp_path / "found.json"
    assert run(["check", "folder", str(people), "--json", str(found)]) == 1
    assert "0.png" in "".join(json.loads(found.read_text())["problems"])
    prepare = ["prepare", "folder", str(people), "--out", str(tmp_path / "store")]
    assert run([*prepare, "--json", str(found)]) == 0
    counts = json.loads(found.read_text())
    assert (counts["tracklets"], counts["people"]) == (8, 4)
    assert "0.png" in "".join(counts["left_out"])
