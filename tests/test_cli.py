"""The commands from outside: exit codes, one-line mistakes, and nothing heavy before its time."""

import errno
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from cyclopts import App
from safetensors.torch import load_file

from reseen.cli import app, run
from reseen.data.store import FrameStore
from reseen.files import LOCK_FILE
from reseen.network.checkpoint import write_tensors

HEAVY = {"cv2", "fastapi", "lancedb", "lightning_fabric", "matplotlib", "numpy", "pyarrow",
         "scipy", "torch"}  # fmt: skip


def commands(parent: App = app, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every command, as the words that call it."""
    found = [path]
    for name in parent:
        if not name.startswith("-"):
            found += commands(parent[name], (*path, name))
    return found


def draw_people(root: Path, people: int = 4, frames: int = 2) -> Path:
    """People in two cameras, as pictures of noise in the `folder` layout."""
    random = np.random.default_rng(0)
    for person in range(1, people + 1):
        for camera in ("a", "b"):
            folder = root / f"{person}" / camera
            folder.mkdir(parents=True)
            for number in range(frames):
                picture = random.integers(0, 256, (32, 16, 3), np.uint8)
                cv2.imwrite(str(folder / f"{number}.png"), picture)
    return root


@pytest.fixture
def people(tmp_path):
    return draw_people(tmp_path / "people")


@pytest.fixture
def command(capsys):
    """Run a command; give its exit code, its output and the last line on stderr."""

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        code = run([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, out, (err.splitlines() or [""])[-1]

    return call


@pytest.fixture
def refused(command):
    """Run a command that must refuse; give the line that says why."""

    def call(*arguments: str | Path) -> str:
        code, out, line = command(*arguments)
        assert (code, out) == (2, "")
        assert line.startswith("reseen: ")
        return line.removeprefix("reseen: ")

    return call


@pytest.fixture
def copied(finished_run, tmp_path):
    """Paths of a finished run and its store, to be damaged."""
    run, store = finished_run
    shutil.copytree(run.path, tmp_path / "run")
    shutil.copytree(store.path, tmp_path / "store")
    return tmp_path / "run", tmp_path / "store"


@pytest.mark.parametrize("path", commands(), ids=" ".join)
def test_every_command_explains_itself(command, path):
    code, out, _ = command(*path, "-h")
    assert code == 0
    assert f"Usage: reseen {' '.join(path)}".rstrip() in out
    assert out.splitlines()[2].strip(), "a sentence says what it does"
    unexplained = re.search(r"^│ [* ]  (\S+ )?--\S+( [A-Z]+)* +│$", out, re.MULTILINE)
    assert not unexplained, unexplained
    assert "//" not in out, "help is Markdown, which swallows <names> in angle brackets"
    assert not re.search(r"^│ +│$", out, re.MULTILINE), "a # at the start of a line is a heading"
    assert "--empty-" not in out, "what is left out is empty"


def test_help_loads_nothing_heavy():
    calls = [[*path, "-h"] for path in commands()]
    code = (
        "import sys\n"
        "from reseen.cli import run\n"
        f"assert all(run(call) == 0 for call in {calls!r})\n"
        f"print(sorted({HEAVY!r} & sys.modules.keys()), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"


@pytest.mark.parametrize(
    "program",
    [[Path(sys.executable).with_name("reseen")], [sys.executable, "-m", "reseen"]],
    ids=["reseen", "python -m reseen"],
)
def test_installed_command_ends_with_the_exit_code(program, tmp_path):
    done = subprocess.run(
        [*program, "evaluate", tmp_path, tmp_path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == f"reseen: {tmp_path} is not a run; make one with: reseen train\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["evalaute"], 'Unknown command "evalaute"'),
        (["train"], "requires an argument"),
        (["train", "s", "--out", "r", "--train.pair", "2"], "Did you mean --train.pairs?"),
        (["train", "s", "--out", "r", "--updates", "many"], 'unable to convert "many" into int'),
        (["train", "s", "--out", "r", "--train.pairs", "0"], "train.pairs must be above 0, not 0"),
        (["train", "s", "--out", "r", "--preset", "qick"], "did you mean 'quick'?"),
        (["gallery", "list", "g", "--camera", "caf\udce9"], "this name is not UTF-8; rename it"),
        (["gallery", "list", 300 * "é"], "File name too long"),
    ],
)
def test_mistake_on_the_command_line_is_one_line(refused, arguments, words):
    assert words in refused(*arguments)


def test_wrong_name_of_a_data_set_names_the_nearest(refused, people, tmp_path):
    for arguments in (
        ["check", "prid2012", people],
        ["prepare", "prid2012", people, "--out", tmp_path / "store"],
    ):
        assert "prid2011" in refused(*arguments)


def test_empty_and_missing_folders_are_named(refused, tmp_path):
    (tmp_path / "empty").mkdir()
    for folder in ("empty", "missing"):
        for arguments in (
            ["check", "folder", tmp_path / folder],
            ["prepare", "folder", tmp_path / folder, "--out", tmp_path / "store"],
        ):
            assert str(tmp_path / folder) in refused(*arguments)
    assert not (tmp_path / "store").exists()


BROKEN = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:200]),
    "empty": lambda path: path.write_bytes(b""),
    "no picture": lambda path: path.write_bytes(b"not a picture at all"),
}


@pytest.mark.parametrize("damage", BROKEN.values(), ids=BROKEN.keys())
def test_broken_picture_is_left_out_and_counted(command, people, tmp_path, damage):
    damage(people / "2" / "b" / "0.png")
    code, out, line = command("check", "folder", people)
    assert code == 1
    assert "0.png" in out
    code, out, line = command("prepare", "folder", people, "--out", tmp_path / "store")
    assert code == 0
    assert "8 tracklets, 4 people" in out
    (left_out,) = FrameStore(tmp_path / "store").left_out
    assert line == f"note: {left_out}"
    assert "2/b" in left_out
    assert "0.png" in left_out


def test_person_without_any_good_picture_is_left_out_aloud(command, people, tmp_path):
    for path in people.glob("3/*/*.png"):
        path.write_bytes(b"")
    code, out, line = command("prepare", "folder", people, "--out", tmp_path / "store")
    assert code == 0
    assert "6 tracklets, 3 people" in out
    assert line.startswith("note: ")
    assert len(FrameStore(tmp_path / "store").left_out) == 2


def test_check_of_a_good_folder_ends_well(command, people):
    assert command("check", "folder", people)[0] == 0


def test_one_frame_and_one_camera_can_be_worked_with(command, tmp_path):
    people = draw_people(tmp_path / "people", people=6, frames=1)
    for person in (1, 2):
        shutil.rmtree(people / f"{person}" / "b")
    code, out, _ = command("prepare", "folder", people, "--out", tmp_path / "store")
    assert (code, "6 people" in out) == (0, True)
    train = ["train", tmp_path / "store", "--out", tmp_path / "run", "--updates", "1"]
    assert command(*train, "--clips.frames", "2")[0] == 0
    assert command("evaluate", tmp_path / "run", tmp_path / "store")[0] == 0


def test_store_of_another_version_is_refused(refused, copied, tmp_path):
    run, store = copied
    index = json.loads((store / "store.json").read_text())
    (store / "store.json").write_text(json.dumps(index | {"format": 99}))
    for arguments in (
        ["train", store, "--out", tmp_path / "new"],
        ["evaluate", run, store],
        ["embed", run, store, "--out", tmp_path / "features.parquet"],
    ):
        line = refused(*arguments)
        assert str(store) in line
        assert "format 99" in line
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
        ImportError("lib.so: failed to map segment from shared object"),
    ],
)
def test_too_little_memory_is_one_line(refused, tmp_path, monkeypatch, error):
    def load(*_):
        raise error

    monkeypatch.setattr("reseen.data.datasets.load", load)
    line = refused("prepare", "folder", tmp_path, "--out", tmp_path / "store")
    assert line == "not enough memory is free here; free some and start again"


@pytest.mark.skipif(sys.platform != "linux", reason="limits of addresses are Linux's")
@pytest.mark.parametrize("megabytes", [400, 900, 2000])  # an abort, a hang and an abort before
def test_too_few_addresses_are_one_line(tmp_path, megabytes):
    limit = f"import resource as r; r.setrlimit(r.RLIMIT_AS, ({megabytes}_000_000,) * 2)"
    code = f"{limit}; from reseen.cli import main; main()"
    command = [sys.executable, "-c", code, "gallery", "stats", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr.startswith(f"reseen: only {megabytes / 1000:.1f} GB of addresses may be")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("people", ["x", [1], None, {}], ids=["text", "list", "null", "object"])
def test_damaged_settings_of_synthetic_people_are_named(refused, tmp_path, people):
    draw_people(tmp_path / "people", people=6, frames=1)
    drawn = {"people": people, "cameras": 10**12, "difficulty": {}}
    (tmp_path / "people" / "synthetic.json").write_text(json.dumps(drawn))
    line = refused("prepare", "folder", tmp_path / "people", "--out", tmp_path / "store")
    assert "synthetic.json is damaged; draw" in line


def test_run_with_missing_weights_is_refused(refused, copied, tmp_path):
    run, store = copied
    (run / "upper" / "weights.safetensors").unlink()
    for arguments in (
        ["evaluate", run, store],
        ["embed", run, store, "--out", tmp_path / "features.parquet"],
    ):
        assert refused(*arguments) == (
            f"{run / 'upper' / 'weights.safetensors'} is missing; the training has not finished"
        )


def test_weights_of_another_shape_are_refused(refused, copied):
    run, store = copied
    path = run / "full" / "weights.safetensors"
    tensors = load_file(path)
    write_tensors(path, tensors | {"network.start": tensors["network.start"][:64].clone()}, {})
    line = refused("evaluate", run, store)
    assert line == (f"{path} does not fit this network: start is (64,), expected (128,)")


def test_full_disk_loses_nothing(refused, copied, tmp_path, monkeypatch):
    run, store = copied
    out = tmp_path / "features.parquet"
    out.write_bytes(b"old")

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("reseen.files.os.fsync", full)
    line = refused("embed", run, store, "--out", out)
    assert line == f"no space left on the disk for {out}; free some and start again"
    assert out.read_bytes() == b"old"
    line = refused("train", store, "--out", tmp_path / "new", "--updates", "1")
    assert line.startswith(f"no space left on the disk for {tmp_path / 'new'}")


def test_run_is_not_trained_over(refused, copied):
    run, store = copied
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    assert "holds a run already; go on with --resume" in refused("train", store, "--out", run)
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before


def test_unknown_feature_names_those_there_are(refused, copied, tmp_path):
    run, store = copied
    line = refused("embed", run, store, "--out", tmp_path / "f", "--feature", "fusd")
    assert "'fusd'" in line
    assert "spatial, temporal, fused, upper, lower, parts" in line


def test_unknown_protocol_names_the_nearest(refused, copied):
    run, store = copied
    assert "mars-field" in refused("evaluate", run, store, "--protocol", "mars-feild")


def test_json_of_evaluate_is_the_report(command, copied, tmp_path):
    run, store = copied
    code, out, _ = command("evaluate", run, store, "--json", tmp_path / "deep" / "scores.json")
    assert code == 0
    scores = json.loads((tmp_path / "deep" / "scores.json").read_text())
    assert scores == json.loads((run / "report.json").read_text())
    assert "spatial (CNN)" in out
    assert "parts (Fusion)" in out
    assert (run / "report.html").is_file()


# Two writers, one place

WRITERS = {
    "prepare": ["prepare", "folder", "{people}", "--out", "{out}"],
    "train": ["train", "{store}", "--out", "{out}", "--updates", "1"],
    "train --resume": ["train", "{store}", "--out", "{out}", "--resume"],
    "track": ["track", "{people}/1/a", "--camera", "a", "--out", "{out}"],
    "reproduce": ["reproduce", "{store}", "--out", "{out}", "--trials", "1", "--updates", "4"],
    "demo": ["demo", "--out", "{out}"],
    "synthesize": ["synthesize", "{out}", "--people", "4"],
}


@pytest.mark.parametrize("verb", WRITERS)
def test_the_second_of_two_writers_is_told_who_the_first_is(
    refused, people, make_store, holding, tmp_path, verb
):
    store = make_store([(person, camera, 2) for person in range(1, 9) for camera in (1, 2)])
    out = tmp_path / "out"
    held = tmp_path / ".out-unfinished" if verb == "synthesize" else out
    first = holding(held)
    places = {"people": people, "store": store.path, "out": out}
    line = refused(*(word.format(**places) for word in WRITERS[verb]))
    assert line.startswith(f"{held} is being filled by process {first.pid} on ")
    assert [file.name for file in held.iterdir()] == [LOCK_FILE]


def test_of_two_that_prepare_one_store_at_once_nothing_is_lost(tmp_path):
    people = draw_people(tmp_path / "people", people=6, frames=8)
    words = ["prepare", "folder", people, "--out"]
    command = [sys.executable, "-m", "reseen", *words, tmp_path / "store"]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    errors = [process.communicate()[1] for process in both]
    assert sorted(process.returncode for process in both) in ([0, 0], [0, 2]), errors
    assert run([*map(str, words), str(tmp_path / "alone")]) == 0
    for file in (tmp_path / "alone").iterdir():
        assert (tmp_path / "store" / file.name).read_bytes() == file.read_bytes()


HOSTILE = "\x1b]0;owned\x07\x1b[2J\nreseen: all is well"


@pytest.mark.parametrize("where", ["a picture's name", "a camera's name", "a file that is missing"])
def test_names_from_outside_reach_no_terminal_as_they_are(people, capsys, where):
    if where == "a picture's name":
        (people / "1" / "a" / f"{HOSTILE}.png").write_bytes(b"")
    elif where == "a camera's name":
        (people / "1" / "a").rename(people / "1" / HOSTILE)
    else:
        people = people / HOSTILE
    run(["check", "--dataset", "folder", "--root", str(people)])
    out, err = capsys.readouterr()
    shown = out + err
    assert shown
    assert not {"\x1b", "\x07"} & set(shown)
    assert not any(line.startswith("reseen: all is well") for line in shown.splitlines())


def test_a_run_is_checked_whole(command, copied):
    folder, _ = copied
    assert command("check", "run", folder)[0] == 0
    weights = folder / "lower" / "weights.safetensors"
    damaged = bytearray(weights.read_bytes())
    damaged[-5] ^= 1
    weights.write_bytes(damaged)
    code, out, _ = command("check", "run", folder)
    assert code == 1
    assert f"{weights} is not as it was written" in out.replace("\n", " ")


@pytest.mark.parametrize("redirection", ["", ">&-"])
def test_no_kind_of_output_breaks_a_command(people, redirection):
    (people / "1" / "a").rename(people / "1" / "tür")
    command = f"{sys.executable} -m reseen check folder {people} {redirection}"
    ascii_only = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, shell=True, capture_output=True, text=True, env=ascii_only)
    assert done.returncode == 0, done.stderr
    assert "cameras: a, b, t\\xfcr" in done.stderr


def test_finetune_refuses_a_place_before_any_work(refused, copied, tmp_path):
    _, store = copied
    assert refused("finetune", store, "--out", tmp_path) == (
        f"cannot write {tmp_path}: it is a folder; name a file"
    )
    assert "holds no maps" in refused("finetune", store, "--out", tmp_path / "tuned.onnx")
    assert not list(tmp_path.glob("*tuned.onnx*"))


@pytest.mark.parametrize(
    "words",
    [
        ["evaluate", "run", "store", "--json"],
        ["embed", "run", "store", "--out"],
        ["export", "run", "--out"],
        ["check", "folder", "people", "--json"],
    ],
    ids=lambda words: words[0],
)
def test_a_place_where_nothing_can_be_written_is_refused_before_all_else(refused, tmp_path, words):
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    for place, why in (
        (tmp_path, "it is a folder; name a file"),
        (tmp_path / "pipe", "it is a device or a pipe; name a file"),
        (tmp_path / "file" / "below" / "r.json", "Not a directory"),
        (tmp_path / ("x" * 300), "File name too long"),
    ):
        assert refused(*words, place) == f"cannot write {place}: {why}"
    assert {path.name for path in tmp_path.iterdir()} == {"file", "pipe"}


def test_evaluate_refuses_its_folder_before_any_work(refused, copied, tmp_path, monkeypatch):
    monkeypatch.delattr("reseen.network.embed.embed_all")
    (tmp_path / "file").touch()
    line = refused("evaluate", *copied, "--out", tmp_path / "file")
    assert line == f"cannot write {tmp_path / 'file' / 'report.json'}: Not a directory"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
@pytest.mark.parametrize("words", [["presets"], ["-h"], ["models", "list"]])
def test_what_cannot_be_printed_is_one_line_and_a_reader_that_left_is_none(words):
    command = [sys.executable, "-m", "reseen", *words]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "reseen: No space left on device\n")
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")
