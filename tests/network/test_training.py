import csv
import math
import os
import platform
import resource
import signal
import subprocess
import sys
from importlib.util import find_spec
from itertools import combinations, product
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from reseen.cli import run as reseen
from reseen.data.clips import FrameReader
from reseen.data.datasets import load
from reseen.data.pictures import read_picture
from reseen.data.prepare import prepare
from reseen.data.projections import lda
from reseen.errors import ReseenError
from reseen.files import read_json
from reseen.network import batches, training
from reseen.network import held_out as part_fusion
from reseen.network.checkpoint import Run, read_tensors
from reseen.network.config import Config, OptimiserConfig
from reseen.network.embed import embed, embed_all
from reseen.network.held_out import mean_reciprocal_rank
from reseen.network.losses import Learner
from reseen.network.model import PartFusion
from reseen.network.training import (
    fit,
    job_of,
    learning_rate,
    make_fabric,
    make_optimiser,
    plan_run,
    train,
)
from tests.conftest import changed

UPDATES = 4
TINY = {"clips": {"frames": 2}, "train": {"updates": UPDATES, "pairs": 2}}
COMMAND = ["--clips.frames", "2", "--train.updates", str(UPDATES), "--train.pairs", "2"]
TRACKLETS = [(person, camera, 3 + person) for person in range(1, 7) for camera in (1, 2)]


def config(**changes):
    return Config.from_mapping(changes, "test", Config.from_mapping(TINY, "test"))


@pytest.fixture
def store(make_store):
    return make_store(TRACKLETS)


def log_of(run, part="full"):
    with (run.path / part / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def losses_of(run):
    return [float(row["total"]) for row in log_of(run)]


def checkpoint_of(run):
    return read_tensors(run.path / "full" / "checkpoint.safetensors")


def assert_same_weights(run, other, part="full"):
    tensors, expected = (
        read_tensors(each.path / part / "weights.safetensors")[0] for each in (run, other)
    )
    assert tensors.keys() == expected.keys()
    for name, value in tensors.items():
        assert torch.equal(value, expected[name]), name


def fail_in_step(monkeypatch, number, fail):
    """Let something happen instead of an update, counted from 1."""
    step, calls = training._step, []

    def step_or_fail(*arguments):
        calls.append(None)
        if len(calls) == number:
            fail()
        return step(*arguments)

    monkeypatch.setattr(training, "_step", step_or_fail)


def save_after_every_update(monkeypatch):
    monkeypatch.setattr(training._Clock, "is_due", lambda _: True)


def test_run_folder_holds_what_was_promised(store, tmp_path):
    run = train(store, tmp_path / "run", config(), seed=3)
    files = {str(path.relative_to(run.path)) for path in run.path.rglob("*") if path.is_file()}
    boards = {name for name in files if "events.out.tfevents" in name}
    assert len(boards) == (find_spec("tensorboard") is not None)
    assert files - boards == {
        "config.toml",
        "run.json",
        "MODEL_CARD.md",
        "full/checkpoint.safetensors",
        "full/log.csv",
        "full/weights.safetensors",
    }
    facts = read_json(run.path / "run.json")
    assert (facts["dataset"], facts["seed"], facts["people"]) == ("blotches", 3, [1, 2, 3, 4, 5, 6])
    assert facts["versions"]["torch"] == torch.__version__
    assert Config.load(run.path / "config.toml") == config()


def test_log_has_a_row_for_every_update(store, tmp_path):
    rows = log_of(train(store, tmp_path / "run", config(train={"updates": 13})))
    assert [int(row["update"]) for row in rows] == list(range(1, 14))
    for row in rows:
        assert float(row["total"]) == pytest.approx(float(row["siamese"]) + float(row["softmax"]))


def test_weights_are_those_of_the_last_checkpoint(store, tmp_path):
    run = train(store, tmp_path / "run", config())
    tensors, metadata = checkpoint_of(run)
    weights = read_tensors(run.path / "full" / "weights.safetensors")[0]
    assert metadata["updates"] == str(UPDATES)
    assert all(torch.equal(tensors[f"learner.{name}"], value) for name, value in weights.items())
    assert set(weights) == set(Learner(config(), 6, 0).state_dict())


def test_training_learns(store, tmp_path):
    run = train(
        store,
        tmp_path / "run",
        config(
            network={"activation": "tanh", "dropout": 0.0, "recurrent_dropout": 0.0},
            optimiser={"name": "adam"},
            train={"updates": 20, "pairs": 4},
        ),
    )
    softmax = [float(row["softmax"]) for row in log_of(run)]
    assert softmax[0] == pytest.approx(2 * np.log(6), rel=0.1)
    assert np.mean(softmax[-3:]) < 0.5 * softmax[0]


def test_seed_decides_everything(store, tmp_path):
    runs = [
        train(store, tmp_path / name, config(), seed=seed)
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    ]
    assert_same_weights(runs[0], runs[1])
    assert losses_of(runs[0]) != losses_of(runs[2])


class Killed(Exception):
    pass


PK = {"sampler": "pk", "people": 3, "clips": 2}


@pytest.mark.parametrize(
    ("optimiser", "train_settings"),
    [({}, {}), ({"name": "adam", "fall": 0.9}, {}), ({}, PK)],
)
def test_resumed_run_equals_one_never_stopped(
    store, tmp_path, monkeypatch, optimiser, train_settings
):
    settings = config(optimiser=optimiser, train=train_settings)
    whole = train(store, tmp_path / "whole", settings)

    def kill():
        raise Killed

    with monkeypatch.context() as patches:
        save_after_every_update(patches)
        fail_in_step(patches, 3, kill)
        with pytest.raises(Killed):
            train(store, tmp_path / "run", settings)
    run = train(store, tmp_path / "run", settings, resume=True)
    assert_same_weights(run, whole)
    assert log_of(run) == log_of(whole)


KILLED_RUN = """
import os, signal, sys
from pathlib import Path
from reseen.data.store import FrameStore
from reseen.network import state, training
from reseen.network.checkpoint import Run
from reseen.network.config import Config

store, out, settings = FrameStore(Path(sys.argv[1])), Path(sys.argv[2]), Path(sys.argv[3])
config = Config.load(settings)
state.UPDATES_BETWEEN_LOGS = 1
run = Run.create(out, config, training.plan_run(store, ("full",), 0, 0, config))
fabric, job = training.make_fabric(), training.job_of(run, store, "full")
checkpoint = job.folder / "checkpoint.safetensors"
done = []

def advance(updates):
    done.append(updates)
    if sum(done) == 3:
        os.kill(os.getpid(), signal.SIGKILL)

training._Clock.is_due = lambda _: sum(done) == 1
training.fit(fabric, store, config, [job], checkpoint, advance)
"""
"""Saves after update 1 and is killed after update 3, which it has logged."""


def test_killed_run_resumes_bit_for_bit(store, tmp_path):
    settings = config(optimiser={"name": "adam"})
    (tmp_path / "settings.toml").write_text(settings.to_toml())
    arguments = [store.path, tmp_path / "run", tmp_path / "settings.toml"]
    killed = subprocess.run([sys.executable, "-c", KILLED_RUN, *map(str, arguments)], check=False)
    assert killed.returncode == -signal.SIGKILL
    run = Run.open(tmp_path / "run")
    assert checkpoint_of(run)[1]["updates"] == "1"
    assert len(log_of(run)) == 3
    train(store, run.path, settings, resume=True)
    whole = train(store, tmp_path / "whole", settings)
    assert_same_weights(run, whole)
    assert log_of(run) == log_of(whole)


def test_interrupt_finishes_the_step_and_saves(store, tmp_path, monkeypatch, capsys):
    whole = train(store, tmp_path / "whole", config())
    command = ["train", str(store.path), "--out", str(tmp_path / "run"), *COMMAND]
    with monkeypatch.context() as patches:
        fail_in_step(patches, 2, lambda: signal.raise_signal(signal.SIGINT))
        assert reseen(command) == 130
    assert capsys.readouterr().err.endswith("reseen: stopped. Update 2 is finished and saved.\n")
    run = Run.open(tmp_path / "run")
    assert checkpoint_of(run)[1]["updates"] == "2"
    assert len(log_of(run)) == 2
    assert reseen([*command, "--resume"]) == 0
    assert_same_weights(run, whole)


@pytest.fixture
def interruptible():
    """Ctrl-C as a terminal has it; a shell's background jobs are started deaf to it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_second_interrupt_is_not_held_back(store, tmp_path, monkeypatch):
    def interrupt_twice():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    fail_in_step(monkeypatch, 2, interrupt_twice)
    with pytest.raises(KeyboardInterrupt):
        train(store, tmp_path / "run", config())
    assert not (tmp_path / "run" / "full" / "checkpoint.safetensors").exists()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_loss_that_is_not_finite_is_named(store, tmp_path, monkeypatch):
    save_after_every_update(monkeypatch)
    with pytest.raises(ReseenError) as error:
        train(store, tmp_path / "run", config(optimiser={"learning_rate": 1e6, "clamp": 1e30}))
    message = str(error.value)
    assert "the loss of" in message
    assert "is not finite at update " in message
    assert "siamese " in message
    checkpoint = tmp_path / "run" / "full" / "checkpoint.safetensors"
    updates = int(checkpoint_of(SimpleNamespace(path=tmp_path / "run"))[1]["updates"])
    assert f"at update {updates + 1} " in message
    assert message.endswith(f"the last good checkpoint is {checkpoint} after update {updates}")


def test_weights_that_are_not_finite_are_never_saved(store, tmp_path):
    settings = config(optimiser={"learning_rate": 3e38, "clamp": 1e30}, train={"updates": 1})
    with pytest.raises(ReseenError, match=r"stopped being finite before update 1; there is no ch"):
        train(store, tmp_path / "run", settings)
    assert [path.name for path in (tmp_path / "run" / "full").glob("*.safetensors")] == []


def test_resuming_needs_the_same_run(store, make_store, tmp_path):
    run = train(store, tmp_path / "run", config(), seed=1)
    other = make_store(TRACKLETS, name="other")
    for arguments, words in (
        ((store, run.path, config(train={"pairs": 4})), r"its train\.pairs is 2, now 4"),
        ((other, run.path, config()), "its store is store, now other"),
    ):
        with pytest.raises(ReseenError, match=words):
            train(*arguments, seed=1, resume=True)
    with pytest.raises(ReseenError, match="its seed is 1, now 0"):
        train(store, run.path, config(), resume=True)
    with pytest.raises(ReseenError, match="holds a run already"):
        train(store, run.path, config(), seed=1)


def test_resuming_what_has_not_begun_begins_it(store, tmp_path):
    whole = train(store, tmp_path / "whole", config())
    assert train(store, tmp_path / "none", config(), resume=True).identity == whole.identity


def test_resuming_a_finished_run_changes_nothing(store, tmp_path):
    run = train(store, tmp_path / "run", config())
    identity = run.identity
    assert train(store, run.path, config(), resume=True).identity == identity


def test_a_finished_run_trained_longer_equals_one_of_that_length(store, tmp_path):
    whole = train(store, tmp_path / "whole", config(train={"updates": 6}))
    short = train(store, tmp_path / "run", config())
    run = train(store, short.path, config(train={"updates": 6}), resume=True)
    assert_same_weights(run, whole)
    assert log_of(run) == log_of(whole)
    assert Run.open(run.path).config.train.updates == 6
    with pytest.raises(ReseenError, match=r"its train\.updates is 6, now 4"):
        train(store, run.path, config(), resume=True)


def test_the_learning_rate_falls_to_nothing_in_the_last_share_of_the_updates():
    settings = config(optimiser={"learning_rate": 0.4, "fall": 0.5}, train={"updates": 8})
    rates = [learning_rate(settings, update) for update in range(1, 10)]
    eighth = (
        1 - math.sqrt(0.5)
    ) / 2  # of a cosine from 1 to -1, an eighth of its turn from its end
    expected = [0.4, 0.4, 0.4, 0.4, 0.4, 0.4 * (1 - eighth), 0.2, 0.4 * eighth, 0]
    assert rates == pytest.approx(expected)


@pytest.mark.usefixtures("float64")
def test_a_step_is_as_long_as_the_falling_rate_says(store, tmp_path):
    """SGD without momentum: the last of two steps, at half the rate, moves weights half as far."""
    settings = {"momentum": 0.0, "dampening": 0.0}
    one, two, fallen = (
        train(store, tmp_path / name, config(optimiser=settings | {"fall": fall}, train=budget))
        for name, budget, fall in (
            ("one", {"updates": 1}, 0.0),
            ("two", {"updates": 2}, 0.0),
            ("fallen", {"updates": 2}, 1.0),
        )
    )
    before, whole, half = (
        read_tensors(run.path / "full" / "weights.safetensors")[0] for run in (one, two, fallen)
    )
    for name, start in before.items():
        torch.testing.assert_close(half[name] - start, (whole[name] - start) / 2)


def test_a_run_whose_rate_has_fallen_cannot_be_trained_longer(store, tmp_path):
    settings = {"optimiser": {"fall": 0.5}}
    train(store, tmp_path / "run", config(**settings))
    with pytest.raises(ReseenError, match=r"its train\.updates is 4, now 6"):
        train(store, tmp_path / "run", config(**settings, train={"updates": 6}), resume=True)


TWO_PROCESSES = """
import sys
from pathlib import Path
import torch
from reseen.data.store import FrameStore
from reseen.network.config import Config
from reseen.network.training import train

torch.set_default_dtype(torch.float64)
store, folder = map(Path, sys.argv[1:])
for sampler in ("pairs", "pk"):
    config = Config.load(folder / f"{sampler}.toml")
    train(FrameStore(store), folder / f"two {sampler}", config)
"""


@pytest.mark.usefixtures("float64")
def test_two_processes_learn_what_one_learns(store, tmp_path):
    samplers = {"pairs": {"updates": 12, "pairs": 2}, "pk": {"updates": 6, **PK}}
    settings = {
        name: config(train=sampler, optimiser={"learning_rate": 0.02})
        for name, sampler in samplers.items()
    }
    for name, each in settings.items():
        (tmp_path / f"{name}.toml").write_text(each.to_toml())
    (tmp_path / "driver.py").write_text(TWO_PROCESSES)
    arguments = [tmp_path / "driver.py", store.path, tmp_path]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    ended = subprocess.run(
        [*launcher, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
    )
    assert ended.returncode == 0, ended.stderr
    for sampler, each in settings.items():
        one = train(store, tmp_path / f"one {sampler}", each)
        two = Run.open(tmp_path / f"two {sampler}")
        assert losses_of(one)[-1] != pytest.approx(losses_of(one)[0], rel=1e-2)
        assert losses_of(two) == pytest.approx(losses_of(one), rel=1e-9)
        for name, value in two.network("full").state_dict().items():
            expected = one.network("full").state_dict()[name]
            torch.testing.assert_close(value, expected, rtol=1e-9, atol=1e-9)


def test_processes_stop_and_save_after_the_same_update():
    asked = []

    def question():
        asked.append(None)
        return False

    def sum_over_processes(own, reduce_op):
        assert reduce_op == "sum"
        return own + torch.tensor([1.0, 0.0])  # the other process has been interrupted

    fabric = SimpleNamespace(world_size=2, device="cpu", all_reduce=sum_over_processes)
    answers = [training._agreed(fabric, update, question, question) for update in range(9, 12)]
    assert answers == [[False, False], [True, False], [False, False]]
    assert len(asked) == 2, "whoever asks waits for the others"


def test_bfloat16_starts_like_float32(store, tmp_path):
    settings = config(train={"updates": 1})
    exact, coarse = (
        train(store, tmp_path / precision, settings, precision=precision)
        for precision in ("32-true", "bf16-mixed")
    )
    # Rounded to 8 bits (0.4 %) after each of eight layers: three convolutions, the projection, both
    # products of eq. (3), the classifier and the loss.
    assert losses_of(coarse) == pytest.approx(losses_of(exact), rel=0.03)
    assert losses_of(coarse) != losses_of(exact)


def test_gradients_are_clamped_element_by_element(store, tmp_path):
    settings = config(
        loss={"siamese_weight": 1e6},
        optimiser={"learning_rate": 1e-3, "momentum": 0.0, "dampening": 0.0, "clamp": 5.0},
        train={"updates": 1},
    )
    run = train(store, tmp_path / "run", settings)
    before = Learner(settings, 6, job_of(run, store, "full").seed).network.state_dict()
    moved = torch.cat(
        [
            (value - before[name]).flatten().abs()
            for name, value in run.network("full").state_dict().items()
        ]
    )
    assert moved.max().item() == pytest.approx(5e-3, rel=1e-3)
    assert (moved > 4.9e-3).sum() > 100


@pytest.mark.parametrize(("dampening", "steps"), [(0.9, [1, 1, 1, 1]), (0, [1, 1.9, 2.71, 3.439])])
def test_dampening_keeps_steps_as_long_as_the_gradient(dampening, steps):
    """As Torch7: v stays g under identical gradients; PyTorch's own default tends to 10 g."""
    weight = torch.nn.Linear(1, 1, bias=False)
    optimiser = make_optimiser(weight, OptimiserConfig(dampening=dampening))
    taken = []
    for _ in steps:
        before = weight.weight.item()
        weight.weight.grad = torch.full((1, 1), 3.0)
        optimiser.step()
        taken.append((before - weight.weight.item()) / (1e-3 * 3.0))
    assert taken == pytest.approx(steps, rel=1e-3)


def test_junk_and_distractors_are_never_trained_on(make_store):
    store = make_store([*TRACKLETS, (0, 1, 5), (0, 2, 5), (-1, 1, 5), (-1, 2, 5)])
    facts = plan_run(store, ("full",), 0, 0, config())
    assert facts.people == (1, 2, 3, 4, 5, 6)


def test_a_run_knows_the_trunk_of_its_store_and_where_it_lay(store):
    store = changed(store, trunk="own-half-0123456789ab", trunk_file="/elsewhere/own.onnx")
    facts = plan_run(store, ("full",), 0, 0, config())
    assert (facts.trunk, facts.trunk_file) == (store.trunk, store.trunk_file)


def test_all_parts_train_three_networks_and_keep_people_back(store, tmp_path, monkeypatch):
    seen = {batches: set(), part_fusion: set()}

    def recorder(module):
        class Recorder(FrameReader):
            def read(self, rows):
                tracklets = np.searchsorted(store.starts, rows, side="right") - 1
                seen[module].update(store.persons[tracklets].ravel().tolist())
                return super().read(rows)

        return Recorder

    for module in seen:
        monkeypatch.setattr(module, "FrameReader", recorder(module))
    run = train(store, tmp_path / "run", config(), ("full", "upper", "lower"))
    people, held_out = set(run.facts.people), set(run.facts.held_out)
    assert (len(people), len(held_out)) == (4, 2)
    assert seen == {batches: people, part_fusion: held_out}
    networks = [run.network(part).projection.weight for part in run.facts.parts]
    assert not torch.equal(networks[0], networks[1])
    assert not torch.equal(networks[1], networks[2])
    assert sum(
        read_json(run.path / "parts.json")[part] for part in run.facts.parts
    ) == pytest.approx(1)


def test_all_parts_need_people_to_hold_out(make_store, tmp_path):
    store = make_store([(person, camera, 4) for person in (1, 2, 3) for camera in (1, 2)])
    with pytest.raises(ReseenError, match=r"3 training people in two cameras; .* needs 4, of whom"):
        train(store, tmp_path / "run", config(), ("full", "upper", "lower"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"people": 7, "clips": 2}, "needs as many training people, there are 6"),
        ({"people": 2, "clips": 100}, r"train\.clips = 100 asks for more"),
    ],
)
def test_steps_that_cannot_be_drawn_leave_nothing_written(store, tmp_path, settings, words):
    with pytest.raises(ReseenError, match=words):
        train(store, tmp_path / "run", config(train={"sampler": "pk", **settings}))
    assert not (tmp_path / "run").exists()


FAULTS_OF_TWENTY_TENSORS = """
import resource, torch
from reseen.network.training import MOST_KEPT
from reseen.parallel import keep_freed_memory
keep_freed_memory(MOST_KEPT)
for turn in range(40):
    if turn == 20:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(10_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_memory_that_a_step_frees_is_there_for_the_next():
    # glibc looks for room for a tensor and its alignment, so that it does not take the very block
    # that the one before left: a few are new until the blocks fit.
    command = [sys.executable, "-c", FAULTS_OF_TWENTY_TENSORS]
    faults = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    pages_of_one = 4 * 10_000_000 // resource.getpagesize()
    assert faults < pages_of_one  # given back each time, they would be twenty times as many


def test_trial_must_exist(store, tmp_path):
    two_trials = changed(store, splits=store.splits * 2)
    with pytest.raises(ReseenError, match="has 2 trials, from 0; not 2"):
        train(two_trials, tmp_path / "run", config(), trial=2)
    assert not (tmp_path / "run").exists()


def test_snapshot_is_what_a_smaller_budget_gives(store, tmp_path):
    small = train(store, tmp_path / "small", config(train={"updates": 2}))
    run = Run.create(tmp_path / "run", config(), small.facts)
    fit(
        make_fabric(),
        store,
        config(),
        [job_of(run, store, "full")],
        run.path / "full" / "checkpoint.safetensors",
        lambda _: None,
        snapshots=[2],
    )
    snapshot = read_tensors(run.path / "full" / "weights-2.safetensors")[0]
    weights = read_tensors(small.path / "full" / "weights.safetensors")[0]
    assert all(torch.equal(snapshot[name], value) for name, value in weights.items())


@pytest.mark.parametrize("sampler", [{}, PK])
def test_a_head_learns_on_stored_vectors(make_store, tmp_path, sampler):
    store = make_store(TRACKLETS, vectors=(6, 40))
    settings = config(
        network={"dropout": 0.0, "recurrent_dropout": 0.0},
        optimiser={"name": "adam"},
        train={"updates": 30, "pairs": 4, **sampler},
    )
    run = train(store, tmp_path / "run", settings, ("lower",))
    softmax = [float(row["softmax"]) for row in log_of(run, "lower")]
    assert np.mean(softmax[-3:]) < 0.5 * softmax[0]


LDA = {"sampler": "pk", "people": 2, "clips": 2, "initial": "lda"}


def test_a_head_starts_as_the_mean_in_the_coordinates_of_lda(make_store, tmp_path):
    """With a step of length 0: what is embedded is what it started with, by hand in NumPy."""
    store = make_store(TRACKLETS, vectors=(6, 40))
    settings = config(
        optimiser={"learning_rate": 1e-30},
        train={"updates": 1, **LDA},
        evaluation={"augmentations": 1},
    )
    run = train(store, tmp_path / "run", settings)
    people = set(run.facts.people)
    learnt = [at for at in store.split(0).train if int(store.persons[at]) in people]
    pictures = [store.tracklet(at)[:, :2].astype(np.float64).mean(axis=1) for at in learnt]
    owners = np.repeat(store.persons[learnt], [len(each) for each in pictures])
    learned = lda(np.concatenate(pictures), owners, shrinkage=0.3)
    clips = store.tracklet(3)[:4].astype(np.float64)[:, 0]  # two clips of two frames, plain, full
    mean = learned.apply(clips.mean(axis=0))
    found = embed(run, store, [3])
    spatial = found["spatial"][0].features[0]
    scale = spatial[0] / mean[0]
    for kind, times in (("spatial", 1), ("temporal", 1), ("fused", 2)):
        feature = found[kind][0].features[0]
        np.testing.assert_allclose(feature[: len(mean)], times * scale * mean, 1e-4, 1e-4)
        assert abs(feature[len(mean) :]).max() < 1e-20
    apart = [
        2 * scale * np.linalg.norm((one - other).mean(axis=0) @ learned.matrix)
        for one, other in combinations([each[:4] for each in pictures], 2)
    ]
    assert min(apart) < settings.loss.margin < max(apart)


def test_only_vectors_are_started_from_lda(store, tmp_path):
    with pytest.raises(ReseenError, match=r"holds pictures; train\.initial = lda starts"):
        train(store, tmp_path / "run", config(train=LDA))
    assert not (tmp_path / "run").exists()


def test_what_learning_ruins_is_not_kept(make_store, tmp_path):
    tracklets = [(person, camera, 6) for person in range(1, 9) for camera in (1, 2)]
    store = make_store(tracklets, vectors=(6, 40))
    ruinous = {
        "optimiser": {"name": "adam", "learning_rate": 10.0},
        "evaluation": {"augmentations": 1},
    }
    settings = config(train={"updates": 20, "keep": "best", **LDA}, **ruinous)
    run = train(store, tmp_path / "run", settings)
    assert len(run.facts.held_out) == 2
    assert not set(run.facts.held_out) & set(run.facts.people)
    kept, first, last = (
        load_file(run.path / "full" / name)["network.projection.weight"]
        for name in ("weights.safetensors", "weights-0.safetensors", "weights-20.safetensors")
    )
    assert torch.equal(kept, first)
    assert not torch.equal(kept, last)


def test_mean_reciprocal_rank_of_a_case_made_by_hand():
    features = np.array([[0.0], [1.0], [3.0], [10.0], [11.0]])
    persons, cameras = np.array([1, 2, 1, 2, 3]), np.array([1, 2, 2, 1, 1])
    # 1 at camera 1: camera 2 shows 2, then 1. 2 at camera 2: camera 1 shows 1, then 2. 1 at camera
    # 2: 1 comes first. 2 at camera 1: 1, then 2. Nobody else has seen 3.
    assert mean_reciprocal_rank(features, persons, cameras) == np.mean([1 / 2, 1 / 2, 1, 1 / 2])


def test_a_run_on_a_trunk_embeds_pictures_as_its_store(tmp_path):
    random = np.random.default_rng(0)
    for person, camera, frame in product(range(4), "ab", range(3)):
        path = tmp_path / "people" / f"{person}" / camera / f"{frame}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), random.integers(0, 256, (64, 32, 3), np.uint8))
    benchmark = load("folder", tmp_path / "people")
    store = prepare(benchmark, tmp_path / "store", trunk="lite0")
    settings = config(train={"updates": 2, **LDA})
    run = train(store, tmp_path / "run", settings)
    found = run.embed([list(map(read_picture, one.paths)) for one in benchmark.tracklets[:2]])
    stored = embed_all(run, store).features[:2]
    # A store holds float16; what that rounds is little beside what tells two noises apart.
    assert np.abs(found - stored).max() < 0.05 * np.abs(stored[0] - stored[1]).max()


def test_a_run_on_vectors_is_not_used_on_pictures(store, make_store, tmp_path):
    vectors = make_store(TRACKLETS, name="vectors", vectors=(2, 40))
    run = train(vectors, tmp_path / "run", config())
    with pytest.raises(ReseenError, match=r"on frames of shape \(2, 40\), .* \(5, 64, 48\)"):
        embed(run, store, [0])


@pytest.mark.parametrize(
    ("kept", "parts", "first"),
    [(2, ("upper",), "upper"), (2, PartFusion.PARTS, "upper"), (4, PartFusion.PARTS, "lower")],
)
def test_parts_without_vectors_leave_nothing_written(make_store, tmp_path, kept, parts, first):
    store = make_store(TRACKLETS, vectors=(kept, 40))
    with pytest.raises(ReseenError, match=f"no vectors of the {first} body: train --part full"):
        train(store, tmp_path / "run", config(), parts)
    assert not (tmp_path / "run").exists()


def test_people_of_one_camera_are_left_out_where_all_clips_pair(make_store, tmp_path):
    store = make_store([*TRACKLETS, (7, 1, 9)])
    assert 7 in plan_run(store, ("full",), 0, 0, config()).people
    assert 7 not in plan_run(store, ("full",), 0, 0, config(train=PK)).people
