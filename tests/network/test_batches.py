from types import SimpleNamespace

import pytest
import torch

from reseen.data.clip_config import ClipConfig
from reseen.data.clips import PairSampler, crop, normalise
from reseen.errors import ReseenError
from reseen.network.batches import BatchSource, Job
from reseen.network.config import Config

FRAMES, PAIRS, SEED = 2, 4, 11
TRACKLETS = [(person, camera, 2 + person) for person in (1, 2, 3) for camera in (1, 2)]
EVERYTHING = tuple(range(len(TRACKLETS)))


def settings(**changes):
    base = {"clips": {"frames": FRAMES}, "train": {"pairs": PAIRS}}
    return Config.from_mapping(changes, "test", Config.from_mapping(base, "test"))


def process(rank=0, size=1):
    return SimpleNamespace(global_rank=rank, world_size=size, device=torch.device("cpu"))


@pytest.fixture
def store(make_store):
    return make_store(TRACKLETS)


@pytest.fixture
def job(tmp_path):
    return Job(tmp_path, "full", EVERYTHING, SEED)


@pytest.mark.parametrize("part", ["full", "lower"])
def test_batch_is_what_was_drawn_for_its_step(store, job, part, tmp_path):
    jobs = [Job(tmp_path, part, EVERYTHING, SEED)]
    batches = list(BatchSource(process(), store, settings(), jobs).batches(3, 6))
    sampler = PairSampler(store, EVERYTHING, PAIRS, FRAMES, "chunk", SEED)
    assert len(batches) == 3
    for step, batch in enumerate(batches, start=3):
        plan = sampler.draw(step)
        frames = torch.from_numpy(store.frames[plan.rows.reshape(-1, FRAMES)])
        values = normalise(frames, part, ClipConfig())
        torch.testing.assert_close(batch.clips, crop(values, plan.crops, True))
        assert batch.labels.tolist() == plan.labels.tolist()
        assert batch.masks.flattened.shape == (2 * PAIRS, FRAMES, 2560)
        assert batch.masks.recurrent.shape == (2 * PAIRS, FRAMES, 128)


def test_dropout_changes_from_step_to_step_and_comes_back(store, job):
    source = BatchSource(process(), store, settings(), [job])
    first, second = (batch.masks.flattened for batch in source.batches(0, 2))
    (again,) = (batch.masks.flattened for batch in source.batches(1, 2))
    assert not torch.equal(first, second)
    assert torch.equal(second, again)


def test_processes_share_clips_and_dropout_of_a_step(store, job):
    (whole,) = BatchSource(process(), store, settings(), [job]).batches(1, 2)
    shares = [
        next(BatchSource(process(rank, 2), store, settings(), [job]).batches(1, 2))
        for rank in (0, 1)
    ]
    for rank, share in enumerate(shares):
        pairs = torch.arange(PAIRS)[rank::2]
        clips = torch.cat((pairs, pairs + PAIRS))
        torch.testing.assert_close(share.clips, whole.clips[clips])
        assert torch.equal(share.labels, whole.labels[:, pairs])
        assert torch.equal(share.masks.flattened, whole.masks.flattened[clips])
        assert torch.equal(share.masks.recurrent, whole.masks.recurrent[clips])


@pytest.mark.parametrize(
    "rates", [(0.6, 0.6), (0.6, 0.0), (0.0, 0.0)], ids=["both", "flattened", "none"]
)
def test_jobs_are_stacked_in_their_order(store, tmp_path, rates):
    config = settings(network={"dropout": rates[0], "recurrent_dropout": rates[1]})
    jobs = [Job(tmp_path, part, EVERYTHING, seed) for part, seed in (("full", 1), ("upper", 2))]
    (together,) = BatchSource(process(), store, config, jobs).batches(0, 1)
    for place, job in enumerate(jobs):
        (alone,) = BatchSource(process(), store, config, [job]).batches(0, 1)
        assert torch.equal(together.clips[place], alone.clips)
        assert torch.equal(together.labels[place], alone.labels)
        for kind in ("flattened", "recurrent"):
            stacked, single = (getattr(each.masks, kind, None) for each in (together, alone))
            assert (stacked is None) == (single is None)
            assert single is None or torch.equal(stacked[place], single)


def test_networks_of_unlike_numbers_of_people_cannot_be_stacked(store, tmp_path):
    jobs = [Job(tmp_path, "full", tracklets, 0) for tracklets in (EVERYTHING, (0, 1, 2, 3))]
    with pytest.raises(ReseenError, match=r"networks of \[2, 3\] people cannot be trained"):
        BatchSource(process(), store, settings(), jobs)


def test_pairs_must_divide_among_processes(store, job):
    with pytest.raises(ReseenError, match=r"train\.pairs = 4 cannot be shared by 3 processes"):
        BatchSource(process(size=3), store, settings(), [job])


def test_no_step_gives_no_batch(store, job):
    assert list(BatchSource(process(), store, settings(), [job]).batches(5, 5)) == []


def test_reading_that_fails_is_heard_of(store, job):
    source = BatchSource(process(), store, settings(), [job])
    source.samplers[0].store = None
    with pytest.raises(AttributeError):
        next(source.batches(0, 2))
