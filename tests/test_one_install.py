"""What the README's first command installs serves all that the README shows."""

import os
import re
import shlex
import signal
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from urllib.request import urlopen

import cv2
import numpy as np
import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import reseen
from reseen.cli import run

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
(RAW_VIDEO,) = re.findall(
    r"## From raw video to a found person\n+```console\n(.*?)```", README, flags=re.DOTALL
)
COMMANDS = [
    command.split("  #")[0].strip()
    for line in re.findall(r"^\$ (.*)$", RAW_VIDEO, flags=re.MULTILINE)
    for command in line.split(" && ")
]
HIDING = """
import sys

class Hidden:
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in {hidden!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Hidden)
"""


def installed_with(requirements: list[str]) -> set[str]:
    """Names of all distributions that come with some, theirs included."""
    found: set[tuple[str, str]] = set()
    waiting = [(Requirement(line), "") for line in requirements]
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        for wanted in {"", *requirement.extras}:
            if (name, wanted) not in found:
                found.add((name, wanted))
                waiting += [(Requirement(line), wanted) for line in metadata.requires(name) or ()]
    return {name for name, _ in found}


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> dict[str, str]:
    """Variables under which Python finds only what `make demo` installs."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    there = installed_with(project["dependencies"]) | {"reseen", "pip", "setuptools"}
    hidden = {
        module
        for module, owners in metadata.packages_distributions().items()
        if not there & {canonicalize_name(owner) for owner in owners}
    }
    assert {"onnxscript", "pytest", "selenium"} <= hidden
    assert not {"torch", "lancedb", "fastapi", "onnxruntime"} & hidden
    folder = tmp_path_factory.mktemp("hiding")
    (folder / "sitecustomize.py").write_text(HIDING.format(hidden=hidden))
    source = Path(reseen.__file__).parents[1]
    return os.environ | {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join([str(folder), str(source)]),
    }


def film(path: Path, walkers: list[Path]) -> None:
    """Film synthetic people who cross an empty grey hall, one after the other."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 25, (320, 240))
    empty = np.full((240, 320, 3), 128, np.uint8)
    for walker in walkers:
        writer.write(empty)
        for step, file in enumerate(sorted(walker.glob("*.png"))[:23]):
            scene = empty.copy()
            scene[60:188, 20 + 8 * step : 84 + 8 * step] = cv2.imread(str(file))
            writer.write(scene)
        for _ in range(40):  # longer than a lost person is waited for
            writer.write(empty)
    writer.release()


def test_every_pinned_package_takes_the_oldest_python_that_is_promised():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    oldest = project["requires-python"].removeprefix(">=") + ".0"
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {canonicalize_name(line.partition("==")[0]) for line in lines if "==" in line}
    wanted = {
        found.name: found.metadata["Requires-Python"] or ""
        for found in metadata.distributions()
        if canonicalize_name(found.name) in pinned
    }
    assert wanted
    assert {
        name: python for name, python in wanted.items() if oldest not in SpecifierSet(python)
    } == {}


def test_the_raw_video_block_runs_as_printed(environment, tmp_path):
    assert [command.split()[1] for command in COMMANDS] == [
        *("track", "track", "gallery", "gallery", "search", "serve")
    ]
    assert run(["synthesize", str(tmp_path / "p"), "--people", "4", "--twins", "0"]) == 0
    for name, camera in (("hall.mp4", "camera_1"), ("yard.mp4", "camera_2")):
        film(tmp_path / name, sorted(tmp_path.glob(f"p/*/{camera}"))[:2])

    printed = {}
    for command in COMMANDS[:-1]:
        done = subprocess.run(
            shlex.split(command), cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, (command, done.stderr)
        printed[command] = done.stdout

    search = printed[COMMANDS[-2]]
    assert re.search(r"yard-yard-000001 .*yard", search), "she is found in the other camera"
    assert "hall-hall-000002" not in search, "--not-camera hall"
    assert cv2.imread(str(tmp_path / "found.png")) is not None
    assert "hall-hall-000001" in served(COMMANDS[-1], tmp_path, environment)


def served(command: str, folder: Path, environment: dict[str, str]) -> str:
    """The first page of a served gallery; the server is stopped after it."""
    program = [*shlex.split(command), "--port", "0"]  # the usual port may be taken
    with subprocess.Popen(
        program, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        try:
            address = server.stdout.readline().split()[-1]
            with urlopen(address, timeout=60) as answer:
                page = answer.read().decode()
        finally:
            server.send_signal(signal.SIGINT)
        assert server.wait(60) in (0, 130)
    return page


def test_the_environment_of_the_first_command_is_told_how_to_enter():
    assert "$ source .venv/bin/activate" in README.partition("## From raw video")[0]


@pytest.mark.parametrize("package", ["onnx", "onnxscript"])
def test_a_missing_optional_package_is_one_line_that_names_the_extra(
    finished_run, tmp_path, monkeypatch, capsys, package
):
    monkeypatch.setitem(sys.modules, package, None)
    run_folder, _ = finished_run
    assert run(["export", str(run_folder.path), "--out", str(tmp_path / "run.onnx")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "reseen: exporting needs more packages: pip install 'reseen[onnx]'"
    assert not list(tmp_path.iterdir())
