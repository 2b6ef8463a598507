"""What the README and the examples show works."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from reseen.cli import app

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_python_code_runs_as_printed(tmp_path):
    """As a script of its own: processes that it starts must not run it again."""
    random = np.random.default_rng(0)
    for person in range(8):
        for camera in ("a", "b"):
            folder = tmp_path / "people" / f"{person}" / camera
            folder.mkdir(parents=True)
            for frame in range(4):
                picture = random.integers(0, 256, (64, 32, 3), np.uint8)
                cv2.imwrite(str(folder / f"{frame}.png"), picture)
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    small = """
from reseen.network.config import Config
small = Config.from_mapping({"train": {"updates": 2, "pairs": 2}}, "test")
Config.preset = classmethod(lambda _, name: {"quick": small}[name])
"""
    (tmp_path / "readme.py").write_text(small + code)
    done = subprocess.run(
        [sys.executable, "readme.py"], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert "| fused (CNN+RNN) |" in done.stdout


@pytest.mark.parametrize(
    "line", re.findall(r"^\$ (reseen .*?)(?:\s+#.*)?$", README, flags=re.MULTILINE)
)
def test_every_command_of_the_readme_parses(line):
    for part in line.split(" && "):
        tokens = part.split()[1:]
        command, _, ignored = app.parse_args(tokens, exit_on_error=False, print_error=False)
        assert not ignored
        assert command.__name__ in tokens


def test_every_link_leads_somewhere():
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_example_finds_people_again(tmp_path, capsys, monkeypatch):
    from reseen.tracking import track
    from reseen.tracking.detections import Detections

    example = _load(ROOT / "examples" / "find_again.py")
    for name in ("first", "second"):
        _film(tmp_path / f"{name}.avi")

    def find_rectangles(picture: np.ndarray) -> Detections:
        """Everything that is not black is a person."""
        contours, _ = cv2.findContours(
            (picture.max(axis=2) > 60).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
        )
        boxes = [cv2.boundingRect(contour) for contour in contours]
        boxes = [(x, y, x + w, y + h) for x, y, w, h in boxes if h > 40]
        return Detections(
            np.array(boxes, np.float32).reshape(-1, 4), np.ones(len(boxes), np.float32)
        )

    monkeypatch.setattr(track, "open_detector", lambda *_: find_rectangles)

    example.find_again(tmp_path / "first.avi", tmp_path / "second.avi", tmp_path / "out")

    lines = capsys.readouterr().out.splitlines()
    people = [line for line in lines if not line.startswith(" ")]
    assert len(people) == 2
    for person in people:
        nearest = lines[lines.index(person) + 1]
        assert nearest.split()[1].rpartition("-")[2] == person.rpartition("-")[2]


def _load(path: Path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _film(path: Path) -> None:
    """Two people walk to the right, one above the other: red over blue, and green over white."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (320, 240))
    for frame in range(20):
        picture = np.zeros((240, 320, 3), np.uint8)
        left = 20 + 8 * frame
        for top, upper, lower in (
            (10, (40, 40, 220), (220, 60, 40)),
            (130, (40, 200, 40), (230, 230, 230)),
        ):
            picture[top : top + 50, left : left + 40] = upper
            picture[top + 50 : top + 100, left : left + 40] = lower
        writer.write(picture)
    writer.release()
