import functools

import pytest

from reseen.errors import ReseenError
from reseen.experiments import demo
from reseen.experiments.demo import run_demo
from reseen.network.config import Config
from reseen.synthetic.synthesize import synthesize

SMALL = {
    "clips": {"frames": 2},
    "train": {"updates": 2, "pairs": 2},
    "evaluation": {"views": 1},
}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    config = Config.from_mapping(SMALL, "test")
    monkeypatch.setattr(Config, "preset", lambda name: {"tuned": config}[name])
    monkeypatch.setattr(demo, "synthesize", functools.partial(synthesize, people=8))


class Killed(Exception):
    pass


def test_demo_goes_on_where_it_was_stopped(tmp_path, monkeypatch):
    out = tmp_path / "demo"

    def kill(*_):
        raise Killed

    with monkeypatch.context() as patches:
        patches.setattr(demo, "evaluate", kill)
        with pytest.raises(Killed):
            run_demo(out)
    done = {path: path.stat().st_mtime_ns for path in out.rglob("*.*") if path.is_file()}
    report = run_demo(out)
    assert {path: path.stat().st_mtime_ns for path in done} == done
    assert report.dataset == "folder"
    assert {"report.html", "report.json", "cmc.png"} <= {path.name for path in out.iterdir()}
    with pytest.raises(ReseenError, match="was made with another seed"):
        run_demo(out, seed=1)


def test_demo_leaves_other_folders_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ReseenError, match=r"is not empty and holds no demo\.json"):
        run_demo(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
