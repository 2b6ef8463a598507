import json

import numpy as np
import pytest
from rich.console import Console

from reseen.errors import ReseenError
from reseen.evaluation.metrics import score
from reseen.evaluation.report import FeatureScores, Report, Trial


def feature_scores(rank1, queries=100, unscored=0):
    curve = tuple(np.linspace(rank1, 1, 50).tolist())
    chance = tuple(np.linspace(0.01, 0.5, 50).tolist())
    return FeatureScores(curve, rank1 / 2, rank1 / 4, queries, unscored, float(queries), chance)


def report(*rank1, kinds=("fused", "spatial"), weights=None):
    trials = [
        Trial(number, {kind: feature_scores(share) for kind in kinds}, weights or {})
        for number, share in enumerate(rank1)
    ]
    return Report("prid2011", "cross-camera", tuple(trials))


def test_scores_are_summed_up():
    # Persons 1 and 2 find themselves at ranks 1 and 2; person 3 is not in the gallery.
    distances = np.array([[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]])
    scores = score(
        distances, np.array([1, 2, 3]), np.ones(3, int), np.array([1, 2]), np.array([2, 2])
    )
    summed = FeatureScores.of(scores)
    assert summed.curve[:2] == (0.5, 1.0)
    assert summed.mean_average_precision == pytest.approx((1 + 1 / 2) / 2)
    assert summed.mean_inverse_negative_penalty == pytest.approx((1 + 1 / 2) / 2)
    assert (summed.queries, summed.unscored, summed.effective_queries) == (2, 1, 2.0)


def test_document_has_the_agreed_form():
    document = report(0.5, 0.7, weights={"full": 0.5, "upper": 0.3, "lower": 0.2}).document()
    assert list(document) == ["dataset", "protocol", "trials", "mean", "std", "interval"]
    first = document["trials"][0]
    assert first["trial"] == 0
    assert first["weights"] == {"full": 0.5, "upper": 0.3, "lower": 0.2}
    fused = first["features"]["fused"]
    assert list(fused["cmc"]) == ["1", "5", "10", "20"]
    assert fused["cmc"]["1"] == fused["curve"][0] == 0.5
    assert (fused["mAP"], fused["mINP"]) == (0.25, 0.125)
    assert (fused["queries"], fused["unscored"]) == (100, 0)
    assert document["mean"]["fused"]["cmc"]["1"] == pytest.approx(0.6)
    assert document["std"]["fused"]["cmc"]["1"] == pytest.approx(np.sqrt(0.02))
    low, high = document["interval"]["fused"]["1"]
    assert low < 0.6 < high


def test_single_trial_has_no_deviation_but_an_interval_over_people():
    document = report(1.0).document()
    assert document["std"] is None
    assert document["mean"]["fused"]["cmc"]["1"] == 1.0
    assert document["interval"]["fused"]["1"] == pytest.approx((0.963, 1.0), abs=1e-3)


def test_saved_report_is_read_back(tmp_path):
    written = report(0.51, 0.73, weights={"full": 0.5, "upper": 0.3, "lower": 0.2})
    written.save(tmp_path / "report.json")
    assert Report.load(tmp_path / "report.json") == written


@pytest.mark.parametrize("content", [[], {"trials": [{}]}, {"dataset": "a", "trials": "none"}])
def test_file_that_is_no_report_is_refused(tmp_path, content):
    path = tmp_path / "report.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ReseenError, match=r"report\.json is damaged: .*; score the run again"):
        Report.load(path)


def test_rows_stand_in_the_paper_order_with_its_names():
    rows = report(0.5, kinds=("parts", "lower", "upper", "fused", "temporal", "spatial")).rows()
    assert [row[0] for row in rows] == [
        "spatial (CNN)",
        "temporal (RNN)",
        "fused (CNN+RNN)",
        "upper",
        "lower",
        "parts (Fusion)",
        "chance level",
    ]
    assert rows[-1] == ("chance level", "1.0", "5.0", "10.0", "20.0", "–", "")


def test_table_shows_mean_and_deviation_in_percent():
    assert report(0.5, 0.7).rows()[0][1] == "60.0±14.1"
    assert report(0.5).rows()[0][1] == "50.0"


def test_table_fits_eighty_columns_and_tells_all():
    full = report(1.0, 0.0, kinds=("spatial", "temporal", "fused", "upper", "lower", "parts"))
    console = Console(width=80, record=True)
    console.print(full.table())
    text = console.export_text()
    assert "…" not in text
    assert "fused (CNN+RNN) 50.0±70.7" in text
    assert "200 queries scored, 0 unscored" in text


def test_unscored_queries_and_weights_are_told():
    trial = Trial(
        0, {"fused": feature_scores(0.5, 1840, 140)}, {"full": 0.5, "upper": 0.3, "lower": 0.2}
    )
    text = Report("mars", "mars-torchreid", (trial,)).markdown()
    assert "mars, mars-torchreid, 1 trial, in %" in text
    assert "1,840 queries scored, 140 unscored" in text
    assert "weights full 0.50, upper 0.30, lower 0.20" in text


def test_what_is_no_better_than_chance_is_said():
    """Of 100 queries one is found by guessing: 1 % is no better, 30 % is."""
    assert report(0.01).no_better_than_chance == ["spatial", "fused"]
    assert report(0.01).caption.endswith("at rank 1 no better than chance level: spatial, fused")
    assert report(0.3).no_better_than_chance == []
    assert "chance" not in report(0.3).caption
    below = report(0.0, 0.004)  # its interval ends below the 1 % of guessing
    assert below.no_better_than_chance == ["spatial", "fused"]


def test_markdown_is_a_table():
    lines = report(0.5, 0.7).markdown().split("\n")
    assert lines[2].startswith("| feature | rank 1 | rank 5 |")
    assert len({line.count("|") for line in lines[2:6]}) == 1


def test_report_without_trials_is_refused():
    with pytest.raises(ReseenError, match="at least one trial"):
        Report("prid2011", "cross-camera", ())


def test_trials_with_different_features_are_refused():
    one, other = report(0.5).trials[0], report(0.5, kinds=("fused",)).trials[0]
    with pytest.raises(ReseenError, match="scores fused but"):
        Report("prid2011", "cross-camera", (one, other))


def test_unknown_feature_kind_is_refused():
    with pytest.raises(ReseenError, match="no feature kind 'fusion'"):
        report(0.5, kinds=("fusion",))
