from dataclasses import replace

import numpy as np
import pytest

from reseen.data.coding import unpack_pictures
from reseen.data.colour_histogram import ColourHistogram
from reseen.data.projections import lda
from reseen.errors import ReseenError
from reseen.evaluation.baselines import baselines
from reseen.evaluation.evaluate import default_protocol, evaluate
from reseen.evaluation.report import Report
from reseen.network.config import Config
from reseen.network.embed import embed
from reseen.network.training import train
from reseen.report.page import write_evaluation
from tests.conftest import changed


@pytest.fixture(scope="module")
def evaluation(finished_run):
    return evaluate(*finished_run)


def test_scores_are_those_of_a_plain_search(evaluation, finished_run):
    run, store = finished_run
    split = store.splits[0]
    for kind in ("spatial", "temporal", "fused", "upper", "lower", "parts"):
        scores = evaluation.trial.features[kind]
        query = embed(run, store, split.query)[kind][0]
        gallery = embed(run, store, split.gallery)[kind][0]
        distances = np.linalg.norm(query.features[:, None] - gallery.features[None], axis=2)
        own = np.array([np.flatnonzero(gallery.persons == person)[0] for person in query.persons])
        ranks = (distances < distances[np.arange(len(own)), own][:, None]).sum(axis=1)
        assert scores.curve[0] == np.mean(ranks == 0)
        assert scores.curve[1] == np.mean(ranks <= 1)
        assert scores.mean_average_precision == pytest.approx(np.mean(1 / (ranks + 1)))
        assert (scores.queries, scores.unscored) == (3, 0)


def test_colours_stand_beside_a_network_on_pictures(evaluation, finished_run):
    store = finished_run[1]
    (found,) = evaluation.query["colours"]
    place = found.names.index(store.names[10])
    pictures = list(unpack_pictures(store.tracklet(10)))
    expected = ColourHistogram().embed([pictures])[0]
    np.testing.assert_allclose(found.features[place], expected, rtol=1e-5, atol=1e-6)


def test_a_trunk_and_lda_stand_beside_a_head(make_store):
    tracklets = [(person, camera, 6) for person in range(1, 9) for camera in (1, 2)]
    store = make_store(tracklets, set(range(1, 6)), vectors=(6, 40))
    train = store.split(0).train
    found = baselines(store, [7, 12], train)
    whole = [store.tracklet(at)[:, :2].astype(np.float64).mean(axis=1) for at in range(len(store))]
    learned = lda(
        np.concatenate([whole[at] for at in train]), store.persons[list(train)].repeat(6), None, 0.3
    )
    for place, at in enumerate((7, 12)):
        mean = whole[at].mean(axis=0)
        inside = learned.apply(mean)
        for kind, expected in (("trunk", mean), ("trunk-lda", inside)):
            unit = expected / np.linalg.norm(expected)
            np.testing.assert_allclose(found[kind].features[place], unit, 1e-4, 1e-5)


def test_lda_is_left_out_where_nobody_can_be_learned_from(make_store):
    store = make_store([(1, 1, 3), (2, 2, 3)], {1}, vectors=(6, 40))
    assert list(baselines(store, [0], store.split(0).train)) == ["trunk"]


def test_learned_weights_of_the_parts_are_told(evaluation, finished_run):
    weights = evaluation.trial.weights
    assert list(weights) == ["full", "upper", "lower"]
    assert list(weights.values()) == pytest.approx(finished_run[0].part_fusion().weights.tolist())


def test_test_people_alone_are_scored(evaluation, finished_run):
    run, _ = finished_run
    scored = set(evaluation.query["parts"][0].persons) | set(evaluation.gallery["parts"][0].persons)
    assert scored == {6, 7, 8}
    assert not scored & {*run.facts.people, *run.facts.held_out}


def test_report_files_hold_what_was_found(evaluation, finished_run, tmp_path):
    run, store = finished_run
    report = write_evaluation(tmp_path / "out", evaluation, run, store, seconds=12.0)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "report.json", "report.html", "cmc.png", "ranked.png", "MODEL_CARD.md",
    }  # fmt: skip
    assert Report.load(tmp_path / "out" / "report.json") == report
    assert report.trials == (evaluation.trial,)
    assert (tmp_path / "out" / "cmc.png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert run.identity in page
    assert "parts (Fusion)" in page
    card = (tmp_path / "out" / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert f"`{run.identity}`" in card
    assert report.markdown() in card


@pytest.mark.parametrize("parts", [("full",), ("full", "upper", "lower")])
def test_a_head_over_vectors_is_reported_without_pictures(make_store, tmp_path, parts):
    tracklets = [(person, camera, 3 + person) for person in range(1, 9) for camera in (1, 2)]
    store = make_store(tracklets, {1, 2, 3, 4, 5}, vectors=(6, 40))
    settings = {"clips": {"frames": 2}, "train": {"updates": 1, "pairs": 1}}
    run = train(store, tmp_path / "run", Config.from_mapping(settings, "test"), parts)
    report = write_evaluation(tmp_path / "out", evaluate(run, store), run, store)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "report.json", "report.html", "cmc.png", "MODEL_CARD.md",
    }  # fmt: skip
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "A map of the features" in page
    assert "What moves the temporal feature" not in page
    assert Report.load(tmp_path / "out" / "report.json") == report


def test_another_store_is_noted(finished_run):
    run, store = finished_run
    noted = evaluate(run, changed(store, fingerprint="changed")).notes
    assert any("was trained on another store" in note for note in noted)
    assert not any("was trained on another store" in note for note in evaluate(run, store).notes)


def test_store_without_the_trial_is_refused(finished_run):
    run, store = finished_run
    other = replace(run, facts=replace(run.facts, trial=3))
    with pytest.raises(ReseenError, match="trial"):
        evaluate(other, changed(store, splits=store.splits * 2))


def test_store_without_test_people_is_refused(finished_run, make_store):
    run, _ = finished_run
    store = make_store([(person, camera, 3) for person in (1, 2) for camera in (1, 2)])
    with pytest.raises(ReseenError, match="no tracklet to search for"):
        evaluate(run, store)


def test_mars_has_a_protocol_of_its_own():
    assert default_protocol("mars") == "mars-official"
    assert default_protocol("prid2011") == default_protocol("folder") == "cross-camera"
