"""From drawn people to a report and a file of features, with the commands that a user types."""

import json
import multiprocessing

import numpy as np
import pytest
from pyarrow import parquet

from reseen.cli import run

SMALL = ["--updates", "2", "--train.pairs", "2", "--clips.frames", "4",
         "--evaluation.augmentations", "1"]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory, forkserver):
    """Everything that six commands leave behind."""
    root = tmp_path_factory.mktemp("end_to_end")
    people, store, trained = (str(root / name) for name in ("people", "store", "run"))
    commands = (
        ["synthesize", people, "--people", "8", "--seed", "1"],
        ["check", "folder", people],
        ["prepare", "folder", people, "--out", store],
        ["train", store, "--out", trained, "--part", "all", *SMALL],
        ["evaluate", trained, store, "--json", str(root / "scores.json")],
        ["embed", trained, store, "--out", str(root / "features.parquet")],
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(multiprocessing, "get_context", lambda _: forkserver)
        for command in commands:
            assert run(command) == 0, command
    return root


def test_report_scores_every_feature_of_half_of_the_people(folder):
    report = json.loads((folder / "scores.json").read_text())
    (trial,) = report["trials"]
    assert list(trial["features"]) == [
        "colours", "spatial", "temporal", "fused", "upper", "lower", "parts",
    ]  # fmt: skip
    for scores in trial["features"].values():
        assert (scores["queries"], scores["unscored"]) == (4, 0)
        assert scores["cmc"]["5"] == 1, "four people: the fifth rank always holds the right one"
        assert 0.25 <= scores["mAP"] <= 1
    assert sum(trial["weights"].values()) == pytest.approx(1)
    assert {path.name for path in (folder / "run").iterdir()} == {
        "config.toml", "run.json", "full", "upper", "lower", "parts.json",
        "report.json", "report.html", "cmc.png", "ranked.png", "MODEL_CARD.md",
    }  # fmt: skip


def test_nobody_is_trained_on_and_scored(folder):
    facts = json.loads((folder / "run" / "run.json").read_text())
    split = json.loads((folder / "store" / "store.json").read_text())
    scored = {split["persons"][index] for index in split["splits"][0]["query"]}
    learnt = {*facts["people"], *facts["held_out"]}
    assert len(scored) == len(learnt) == 4
    assert not scored & learnt


def test_every_tracklet_has_a_feature_that_others_can_read(folder):
    rows = parquet.read_table(folder / "features.parquet").to_pylist()
    assert len(rows) == 16
    assert {row["person"] for row in rows} == set(range(1, 9))
    features = np.array([row["feature"] for row in rows])
    assert features.shape == (16, 128)
    assert np.isfinite(features).all()
    assert len(np.unique(features, axis=0)) == 16


def test_finished_work_is_not_done_again(folder, capsys):
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    store, trained = str(folder / "store"), str(folder / "run")
    assert run(["prepare", "folder", str(folder / "people"), "--out", store]) == 0
    assert run(["train", store, "--out", trained, "--part", "all", "--resume", *SMALL]) == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before
