import csv
import errno
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from reseen.errors import ReseenError
from reseen.network import state as module
from reseen.network.batches import Job
from reseen.network.checkpoint import read_tensors, write_tensors
from reseen.network.config import OptimiserConfig
from reseen.network.losses import LossTerms
from reseen.network.state import LossLog, TrainingState
from reseen.network.training import make_optimiser

ALONE = SimpleNamespace(world_size=1, is_global_zero=True)


def some_state(path, optimiser="adam", updates=0):
    """A small network, moved a few times, with one weight that stays fixed."""
    torch.manual_seed(updates)
    learner = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))
    learner[0].bias.requires_grad_(False)
    state = TrainingState(learner, make_optimiser(learner, OptimiserConfig(name=optimiser)), path)
    move(state, updates)
    return state


def move(state, updates):
    for step in range(updates):
        state.optimiser.zero_grad()
        state.learner(torch.full((1, 3), float(step + 1))).square().sum().backward()
        state.optimiser.step()


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
def test_training_goes_on_where_it_was(tmp_path, optimiser):
    path = tmp_path / "c.safetensors"
    state = some_state(path, optimiser, updates=3)
    state.save(3)
    restored = some_state(path, optimiser)
    assert restored.restore() == 3
    for each in (state, restored):
        move(each, 2)
    for name, value in state.learner.state_dict().items():
        assert torch.equal(restored.learner.state_dict()[name], value)


def test_no_checkpoint_is_a_fresh_start(tmp_path):
    assert some_state(tmp_path / "c.safetensors").restore() == 0


def test_checkpoint_of_another_network_is_refused(tmp_path):
    path = tmp_path / "c.safetensors"
    some_state(path, updates=1).save(1)
    tensors, metadata = read_tensors(path)
    write_tensors(path, tensors | {"learner.0.weight": torch.zeros(5, 5)}, metadata)
    with pytest.raises(ReseenError, match=r"0\.weight is \(5, 5\), expected \(2, 3\)"):
        some_state(path).restore()


@pytest.mark.parametrize(
    ("surprise", "metadata"),
    [
        ({}, {}),
        ({}, {"updates": "many"}),
        ({"optimiser.9.weight.exp_avg": torch.zeros(1)}, {"updates": "1"}),
    ],
)
def test_tensors_that_are_no_checkpoint_are_refused(tmp_path, surprise, metadata):
    path = tmp_path / "c.safetensors"
    some_state(path, updates=1).save(1)
    write_tensors(path, read_tensors(path)[0] | surprise, metadata)
    with pytest.raises(ReseenError, match=r"c\.safetensors is not a checkpoint of this training"):
        some_state(path).restore()


def test_weight_that_is_not_finite_is_named_and_not_saved(tmp_path):
    path = tmp_path / "c.safetensors"
    state = some_state(path, updates=2)
    state.save(2)
    state.learner[1].weight.data[0, 0] = float("nan")
    with pytest.raises(ReseenError) as error:
        state.save(5)
    assert str(error.value) == (
        "learner.1.weight stopped being finite before update 5; "
        f"the last good checkpoint is {path} after update 2"
    )
    assert read_tensors(path)[1] == {"updates": "2"}


def terms(value, **others):
    values = {"siamese": value, "softmax": 2 * value, "total": 3 * value} | others
    return LossTerms(*(torch.tensor(float(each)) for each in values.values()))


@pytest.fixture
def job(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_tensorboard", lambda _: None)
    (tmp_path / "full").mkdir()
    return Job(tmp_path / "full", "full", (), 0)


def rows(job):
    with (job.folder / "log.csv").open(newline="") as file:
        return list(csv.reader(file))


def test_log_has_every_update_once(job):
    log = LossLog(ALONE, [job], Path("none"), done=0)
    for update in range(1, 14):
        log.add(terms(update))
    assert len(rows(job)) == 11, "values are fetched from the device now and then only"
    log.flush()
    log.flush()
    assert rows(job)[0] == ["update", "siamese", "softmax", "total"]
    assert [[float(cell) for cell in row] for row in rows(job)[1:]] == [
        [update, update, 2 * update, 3 * update] for update in range(1, 14)
    ]


def test_resumed_log_forgets_updates_that_were_undone(job):
    first = LossLog(ALONE, [job], Path("none"), done=0)
    for update in range(1, 6):
        first.add(terms(update))
    first.flush()
    second = LossLog(ALONE, [job], Path("none"), done=3)
    second.add(terms(40))
    second.flush()
    assert [(int(row[0]), float(row[1])) for row in rows(job)[1:]] == [
        (1, 1), (2, 2), (3, 3), (4, 40),
    ]  # fmt: skip


def test_stacked_losses_go_to_their_own_logs(job, tmp_path):
    (tmp_path / "upper").mkdir()
    jobs = [job, Job(tmp_path / "upper", "upper", (), 0)]
    log = LossLog(ALONE, jobs, Path("none"), done=0)
    log.add(LossTerms(*(torch.tensor([1.0, 2.0]) * factor for factor in (1, 2, 3))))
    log.flush()
    assert [[float(cell) for cell in rows(each)[1]] for each in jobs] == [
        [1, 1, 2, 3],
        [1, 2, 4, 6],
    ]


def test_loss_that_is_not_finite_names_update_and_terms(job):
    log = LossLog(ALONE, [job], Path("none"), done=20)
    log.add(terms(1))
    log.add(terms(1, softmax=float("nan"), total=float("nan")))
    with pytest.raises(ReseenError) as error:
        log.flush()
    assert str(error.value) == (
        f"the loss of {job.folder} is not finite at update 22 "
        "(siamese 1, softmax nan, total nan); there is no checkpoint yet"
    )


def test_full_disk_is_named(job, monkeypatch):
    log = LossLog(ALONE, [job], Path("none"), done=0)

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "open", full)
    log.add(terms(1))
    with pytest.raises(ReseenError, match=r"no space left on the disk for .*log\.csv"):
        log.flush()


def test_tensorboard_gets_the_losses_where_it_is_installed(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (tmp_path / "full").mkdir()
    log = LossLog(ALONE, [Job(tmp_path / "full", "full", (), 0)], Path("none"), done=0)
    for update in (1, 2, 3):
        log.add(terms(update))
    log.flush()
    for board in log.boards:
        board.close()
    events = EventAccumulator(str(tmp_path / "full"))
    events.Reload()
    (event,) = events.Scalars("loss/softmax")
    assert (event.step, event.value) == (3, 6.0)
