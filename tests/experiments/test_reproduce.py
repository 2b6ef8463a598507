"""The paper's experiments over: what is trained, what a kill leaves, what the report says."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from reseen.data.embeddings import Embeddings
from reseen.data.store import FrameStore
from reseen.errors import ReseenError
from reseen.evaluation.evaluate import evaluate
from reseen.evaluation.metric_learning import LEARNED_METRICS, Metric, fit_xqda
from reseen.evaluation.report import FeatureScores, Report
from reseen.evaluation.scoring import score_features
from reseen.experiments.modern import train_modern, trunk_metrics
from reseen.experiments.plan import (
    VARIANTS,
    _train_stacked,
    plan_runs,
    snapshots,
    train_runs,
)
from reseen.experiments.rebuilt import TRAINED
from reseen.experiments.reproduce import _gather, _score_run, reproduce
from reseen.experiments.tables import sections
from reseen.network.checkpoint import Run
from reseen.network.config import Config
from reseen.network.embed import embed
from reseen.network.losses import Learner
from reseen.network.training import make_fabric, train_part

SMALL = Config.from_mapping(
    {"clips": {"frames": 4}, "train": {"updates": 3, "pairs": 2}, "evaluation": {"views": 1}},
    "test",
    Config.preset("quick"),
)
PEOPLE = [(person, camera, 18) for person in range(1, 11) for camera in (1, 2)]


@pytest.fixture
def store(make_store):
    return make_store(PEOPLE, trained={1, 2, 3, 4, 5, 6})


@pytest.mark.usefixtures("quick_workers")
def test_a_killed_reproduction_goes_on_to_the_same_report(store, tmp_path, forkserver):
    whole = reproduce(store, tmp_path / "whole", SMALL, trials=1, variants=["mclaughlin"])
    _kill_after_the_first_network(forkserver, store, tmp_path / "killed")
    assert not (tmp_path / "killed" / "report.json").exists(), "killed too late to say anything"

    reproduce(store, tmp_path / "killed", SMALL, trials=1, variants=["mclaughlin"])

    documents = [
        json.loads((tmp_path / name / "report.json").read_text()) for name in ("whole", "killed")
    ]
    assert documents[0] == documents[1]
    assert set(documents[0]["variants"]) == {"paper", "mclaughlin"}
    assert set(documents[0]["metrics"]) | set(documents[0]["left_out"]) == {"kissme", "xqda", "lda"}
    assert set(documents[0]["budgets"]["paper"]) == {"1"}, "a quarter of 3 updates is none"
    assert whole.variants["paper"].kinds == [
        "colours", "spatial", "temporal", "fused", "upper", "lower", "parts",
    ]  # fmt: skip
    once = (whole.variants["mclaughlin"], whole.budgets["paper"][1])
    assert all("colours" not in report.kinds for report in once), "once for each trial is enough"
    page = (tmp_path / "killed" / "report.html").read_text()
    for heading in ("Table 1", "Table 2", "Table 3", "One change at a time"):
        assert heading in page
    assert "| McLaughlin et al., trained here |" in (tmp_path / "killed/report.md").read_text()


def _kill_after_the_first_network(context, store: FrameStore, out: Path) -> None:
    options = {"trials": 1, "variants": ["mclaughlin"]}
    process = context.Process(target=reproduce, args=(store, out, SMALL), kwargs=options)
    process.start()
    while not list(out.glob("trial_0/*/*/weights.safetensors")):
        process.join(0.01)
        assert process.exitcode is None, "it must not end before that"
    process.kill()
    process.join()


@pytest.mark.usefixtures("float64")
def test_stacked_training_equals_one_by_one(store, tmp_path):
    # Not Adam: its first steps turn the rounding of a gradient near zero into whole steps.
    sgd = {
        "optimiser": {"name": "sgd", "learning_rate": 0.01},
        "clips": {"frames": 2},
        "train": {"updates": 2},
    }
    config = Config.from_mapping(sgd, "test", SMALL)
    names = ("paper", "mclaughlin")
    alone = plan_runs(store, tmp_path / "alone", config, 1, names, seed=0)
    together = plan_runs(store, tmp_path / "together", config, 1, names, seed=0)
    for run in alone.values():
        for part in run.facts.parts:
            train_part(make_fabric(), store, run, part, lambda _: None)

    _train_stacked(store, together, tmp_path / "together", lambda _: None)

    for key, run in alone.items():
        for part in run.facts.parts:
            one = load_file(run.path / part / "weights.safetensors")
            many = load_file(together[key].path / part / "weights.safetensors")
            assert one.keys() == many.keys()
            for name in one:
                np.testing.assert_allclose(one[name], many[name], 1e-9, 1e-9, err_msg=name)


def test_all_variants_of_a_trial_see_the_same_people(store, tmp_path):
    runs = plan_runs(store, tmp_path, SMALL, 1, tuple(VARIANTS), seed=0)

    people = {run.facts.people for run in runs.values()}

    assert len(people) == 1
    (trained,) = people
    held_out = set(runs[0, "paper"].facts.held_out)
    assert held_out
    assert not held_out & set(trained)
    assert held_out | set(trained) == {1, 2, 3, 4, 5, 6}


def test_each_variant_changes_what_its_name_says():
    changed = {
        name: {
            f"{table}.{key}"
            for table, values in asdict(variant.config(SMALL)).items()
            for key, value in values.items()
            if value != getattr(getattr(SMALL, table), key)
        }
        for name, variant in VARIANTS.items()
    }

    assert changed["paper"] == set()
    assert changed["tanh"] == {"network.activation"}
    assert changed["no-dropout"] == {"network.dropout", "network.recurrent_dropout"}
    assert changed["tied"] == {"network.recurrent_input"}
    assert changed["hadsell"] == changed["hinge"] == {"loss.siamese"}
    assert changed["unit"] == {"clips.normalise"}
    assert changed["strong-flow"] == {"clips.flow_unit"}
    assert changed["no-flow"] == {"clips.flow"}
    assert changed["ide"] == {
        "loss.feature",
        "loss.siamese_weight",
        "clips.frames",
        "train.pairs",
    }
    assert {"network.activation", "loss.siamese", "loss.feature"} <= changed["mclaughlin"]
    for name in ("mclaughlin", "tuned"):
        assert not any(key.startswith(("train.", "optimiser.")) for key in changed[name])


def test_ide_sees_as_many_single_frames_as_others_see_in_clips():
    ide = VARIANTS["ide"].config(SMALL)
    clips, frames = SMALL.train.clips_a_step, SMALL.clips.frames
    assert (ide.train.clips_a_step, ide.clips.frames) == (clips * frames, 1)
    pk = Config.from_mapping({"train": {"sampler": "pk", "people": 3, "clips": 2}}, "test", SMALL)
    assert VARIANTS["ide"].config(pk).train.clips_a_step == 6 * frames


def test_ide_tells_people_apart_by_frames_and_compares_means_of_frames():
    """Zheng et al. 2016 step by step: softmax of each frame's projection; mean over frames."""
    config = VARIANTS["ide"].config(SMALL)
    learner = Learner(config, 4, seed=0).double()
    frames = torch.randn(6, 1, 5, 56, 40, generator=torch.Generator().manual_seed(0)).double()
    labels = torch.tensor([[0, 1, 2], [3, 1, 0]])
    with torch.no_grad():
        terms = learner(frames, labels, None)
        vectors = learner.network.projection(learner.network.trunk(frames))[:, 0].numpy()
        means = learner.network(frames.transpose(0, 1)).spatial[0].numpy()
    weights, bias = (value.detach().numpy() for value in learner.classifier.parameters())
    logits = vectors @ weights.T + bias
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    surprise = -np.log(shares[np.arange(6), labels.flatten()]).mean()
    assert terms.total.item() == pytest.approx(2 * surprise)
    np.testing.assert_allclose(means, vectors.mean(axis=0))


def test_methods_that_are_networks_of_their_own_are_scored_by_their_metric(
    store, tmp_path, monkeypatch
):
    """RCN + KISSME: the metric learned on the baseline's temporal features of its people."""
    some_numbers, learned_from = Metric(np.eye(128)[:, :5], np.eye(5)), list[Embeddings]()

    def learn(train):
        learned_from.append(train)
        return some_numbers

    monkeypatch.setitem(LEARNED_METRICS, "kissme", learn)
    names = ("paper", "mclaughlin", "ide")
    config = replace(SMALL, train=replace(SMALL.train, updates=1))
    runs = plan_runs(store, tmp_path, config, 1, names, seed=0, parts=("full",))
    fabric = make_fabric()
    how = {"paper": (), "mclaughlin": ("kissme",), "ide": ("euclidean", "xqda")}
    for (_, name), planned in runs.items():
        run = Run.create(planned.path, planned.config, planned.facts)
        train_part(fabric, store, run, "full", lambda _: None)
        _score_run(store, run, how[name], VARIANTS[name].feature)
    results = _gather(runs, tuple(TRAINED))
    assert results.left_out == {}
    rebuilt = results.rebuilt
    shown = {name: (report.kinds, report.trials[0].features) for name, report in rebuilt.items()}
    assert list(shown) == ["IDE + Euclidean", "IDE + XQDA", "RCN + KISSME"]
    assert [kinds for kinds, _ in shown.values()] == [["spatial"], ["spatial"], ["temporal"]]
    run = runs[0, "mclaughlin"]
    split, people = store.split(0), set(run.facts.people)
    chosen = [at for at in split.train if int(store.persons[at]) in people]
    (train,) = learned_from
    np.testing.assert_allclose(train.features, embed(run, store, chosen)["temporal"][0].features)
    query, gallery = (embed(run, store, at)["temporal"][0] for at in (split.query, split.gallery))
    found = score_features(query, gallery, distance=some_numbers.distances)
    assert shown["RCN + KISSME"][1]["temporal"] == FeatureScores.of(found)
    whole = Report.load(runs[0, "ide"].path / "report.json").trials[0].features["spatial"]
    assert shown["IDE + Euclidean"][1]["spatial"] == whole


def test_the_modern_preset_is_trained_and_scored_on_the_trunks_vectors(make_store, tmp_path):
    vectors = make_store(PEOPLE, trained={1, 2, 3, 4, 5, 6}, name="vectors", vectors=(6, 40))
    (run,) = train_modern(vectors, tmp_path / "out", 1, 0, "report.json")
    modern = Config.preset("modern")
    assert run.config == replace(modern, train=replace(modern.train, people=4))
    assert run.facts.store == vectors.fingerprint
    shown = Report.load(run.path / "report.json").trials[0].features
    assert shown["fused"] == evaluate(run, vectors).trial.features["fused"]
    before = (run.path / "report.json").stat().st_mtime_ns
    (again,) = train_modern(vectors, tmp_path / "out", 1, 0, "report.json")
    assert (again.path, again.facts) == (run.path, run.facts)
    assert (run.path / "report.json").stat().st_mtime_ns == before


def test_learned_metrics_of_the_trunks_vectors_leave_out_what_cannot_learn(make_store, caplog):
    """Of these few people, KISSME cannot; XQDA's distances are worked out from the vectors here."""
    vectors = make_store(PEOPLE, trained={1, 2, 3, 4, 5, 6}, name="vectors", vectors=(6, 40))
    with caplog.at_level("INFO"):
        found = trunk_metrics(vectors, 1)
    assert list(found) == ["xqda"]
    assert "KISSME of the trunk's vectors is left out: the training" in caplog.text
    means = [
        vectors.tracklet(at)[:, :2].astype(np.float32).mean(axis=(0, 1))
        for at in range(len(vectors))
    ]
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    names = tuple(vectors.names)
    everybody = Embeddings(np.array(means, np.float32), vectors.persons, vectors.cameras, names)
    split = vectors.split(0)
    train, query, gallery = map(everybody.take, (split.train, split.query, split.gallery))
    scores = score_features(query, gallery, distance=fit_xqda(train).distances)
    assert found["xqda"].trials[0].features == {"trunk": FeatureScores.of(scores)}


@pytest.mark.parametrize("other", [{}, {"vectors": (6, 40), "trained": {1, 2, 3, 4, 5, 7}}])
def test_vectors_of_other_data_are_refused(store, make_store, tmp_path, other):
    vectors = make_store(PEOPLE, **{"trained": {1, 2, 3, 4, 5, 6}, "name": "vectors", **other})
    with pytest.raises(ReseenError, match="must hold a trunk's vectors of the tracklets"):
        reproduce(store, tmp_path / "out", SMALL, trials=1, vectors=vectors)
    assert not (tmp_path / "out").exists()


def test_another_stores_folder_is_left_alone(store, make_store, tmp_path):
    other = make_store(PEOPLE, trained={1, 2, 3, 4, 5, 6}, name="other")
    (tmp_path / "out").mkdir()
    plan = {"store": other.fingerprint, "seed": 0, "settings": SMALL.to_toml()}
    (tmp_path / "out/plan.json").write_text(json.dumps(plan))

    with pytest.raises(ReseenError, match="was made with another store"):
        reproduce(store, tmp_path / "out", SMALL, trials=1)

    assert [path.name for path in (tmp_path / "out").iterdir()] == ["plan.json"]


@pytest.mark.parametrize(
    ("trials", "variants", "message"),
    [(1, ["tahn"], "did you mean 'tanh'"), (0, [], "not -1")],
)
def test_a_wrong_plan_is_named_and_leaves_nothing(store, tmp_path, trials, variants, message):
    with pytest.raises(ReseenError, match=message):
        reproduce(store, tmp_path / "out", SMALL, trials=trials, variants=variants)
    assert not (tmp_path / "out").exists()


def test_steps_that_cannot_be_drawn_leave_nothing(store, tmp_path):
    config = replace(SMALL, train=replace(SMALL.train, sampler="pk", people=7, clips=2))
    with pytest.raises(ReseenError, match="people = 7 needs as many training people"):
        reproduce(store, tmp_path / "out", config, trials=1)
    assert not (tmp_path / "out").exists()


def test_too_few_people_are_named(make_store, tmp_path):
    few = make_store(PEOPLE[:10], trained={1, 2, 3})

    with pytest.raises(ReseenError, match="3 training people in two cameras"):
        reproduce(few, tmp_path / "out", SMALL, trials=1)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("variants", [("paper",), ("paper", "mclaughlin")])
def test_people_are_too_few_for_parts_only_where_parts_are_asked_for(
    make_store, tmp_path, variants
):
    few = make_store(PEOPLE[:10], trained={1, 2, 3})
    runs = plan_runs(few, tmp_path, SMALL, 1, variants, seed=0, parts=("full",))
    assert {run.facts.people for run in runs.values()} == {(1, 2, 3)}
    assert {run.facts.held_out for run in runs.values()} == {()}


@pytest.mark.usefixtures("quick_workers")
def test_too_few_people_for_anything_are_named(make_store, tmp_path):
    alone = make_store(PEOPLE[:10], trained={1})
    with pytest.raises(ReseenError, match="two people or more"):
        reproduce(alone, tmp_path / "out", SMALL, trials=1, parts=("full",))


@pytest.mark.parametrize(
    ("updates", "expected"), [(1, ()), (2, (1,)), (3, (1,)), (4, (1, 2)), (2000, (500, 1000))]
)
def test_smaller_budgets_are_a_quarter_and_half_but_never_nothing(updates, expected):
    config = Config.from_mapping({"train": {"updates": updates}}, "test", SMALL)
    assert snapshots(config) == expected


@pytest.mark.usefixtures("quick_workers")
def test_a_metric_that_cannot_be_learned_costs_nothing_else(store, tmp_path, monkeypatch):
    def refuse(_):
        raise ReseenError("the features are all the same")

    monkeypatch.setitem(LEARNED_METRICS, "kissme", refuse)
    (run,) = plan_runs(store, tmp_path, SMALL, 1, ("paper",), seed=0, parts=("full",)).values()
    train_runs(store, {(0, "paper"): run}, tmp_path)

    methods = ("kissme", "xqda", "TDL", "SRID")
    _score_run(store, run, methods)
    results = _gather({(0, "paper"): run}, methods)

    assert results.left_out["kissme"] == "the features are all the same"
    assert set(results.metrics) == {"xqda"}
    assert set(results.rebuilt) == {"TDL", "SRID"}
    assert 0 <= results.rebuilt["SRID"].scores("fused")[0].curve[0] <= 1
    assert results.variants["paper"].kinds == ["colours", "spatial", "temporal", "fused"]
    (table2,) = [part for part in sections(results, "noise") if part.heading.startswith("Table 2")]
    assert "KISSME is left out: the features are all the same." in table2.paragraphs
