"""Fine-tuning lite0: its late blocks equal the ONNX network's, and learn through LDA of others."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from reseen.data.frame_vectors import FrameNetwork, open_network
from reseen.data.projections import Projection
from reseen.errors import ReseenError
from reseen.gallery.extractors import open_extractor
from reseen.models import lite0
from reseen.network import finetuning
from reseen.network.config import Config
from reseen.network.finetuning import _Group, finetune
from reseen.network.late_blocks import LateBlocks
from reseen.network.training import train
from tests.conftest import changed

TRACKLETS = [(person, camera, 1) for person in range(1, 17) for camera in (1, 2)]


@pytest.fixture(scope="module")
def crops():
    return list(np.random.default_rng(5).integers(0, 256, (2, 256, 128, 3), np.uint8))


def described(blocks, crops):
    """Descriptors by block 10's maps, from onnxruntime, and the blocks, in PyTorch."""
    maps = open_network("lite0-maps").vectors(crops).reshape(-1, *lite0.MAP_SHAPE)
    with torch.inference_mode():
        return blocks(torch.from_numpy(maps)).numpy()


def test_late_blocks_are_the_onnx_networks_until_they_are_trained(crops):
    found = described(LateBlocks(lite0.lite0_state()), crops)
    assert_allclose(found, open_network("lite0").vectors(crops), atol=2e-5)
    assert np.abs(found[0] - found[1]).max() > 0.01


def test_trained_blocks_are_written_as_a_trunk_that_needs_no_style(crops, tmp_path):
    state = lite0.lite0_state()
    blocks = LateBlocks(state)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for values in blocks.parameters():
            values += 0.02 * torch.randn(values.shape, generator=generator)
    lite0.write_lite0({**state, **blocks.state_of_lite0()}, tmp_path / "tuned.onnx")
    trunk = FrameNetwork(tmp_path / "tuned.onnx")
    assert trunk.style.name == "lite0"
    expected = described(blocks, crops)
    assert_allclose(trunk.vectors(crops), expected, atol=2e-5)
    assert np.abs(expected - open_network("lite0").vectors(crops)).max() > 1e-3


@pytest.fixture
def store(make_store):
    store = make_store(TRACKLETS, vectors=(2, 14_336), trained=set(range(1, 17)))
    return changed(store, trunk=lite0.MAPS_NAME)


@pytest.fixture
def learned_from(monkeypatch):
    """A random projection in the place of LDA, which is slow, and whom each was learned from."""
    people = []

    def projected(features, persons, shrinkage):
        people.append(set(persons.tolist()))
        directions = np.random.default_rng(len(people)).normal(size=(features.shape[1], 8))
        return Projection(features.mean(axis=0, dtype=np.float64), directions)

    monkeypatch.setattr(finetuning, "lda", projected)
    monkeypatch.setattr(finetuning, "UPDATES", 4)
    return people


def test_each_group_is_seen_through_others_and_the_late_blocks_alone_change(store, learned_from):
    tuned, state = finetune(store), lite0.lite0_state()
    everybody = set(range(1, 17))
    groups = [everybody - others for others in learned_from]
    assert sorted(map(len, groups)) == [4] * 4
    assert set().union(*groups) == everybody

    late = {f"_blocks.{number}." for number in range(11, 16)}
    for name, values in state.items():
        is_late = any(name.startswith(block) for block in late)
        assert is_late or np.array_equal(tuned[name], values), name
    before = LateBlocks(state).state_of_lite0()
    moved = [np.abs(tuned[name] - values).max() for name, values in before.items()]
    assert max(moved) > 1e-5
    assert max(moved) < 1e-3  # four steps of at most 1e-4


def group(means):
    """Two people, each in cameras 1 and 2, by the means of their features."""
    return _Group(
        places=np.arange(4),
        matrix=torch.eye(2),
        centre=torch.zeros(2),
        tracklets=np.array([3, 5, 6, 9]),
        persons=np.array([7, 7, 8, 8]),
        cameras=np.array([1, 2, 1, 2]),
        means=torch.tensor(means),
    )


def test_loss_is_how_surely_a_picture_finds_its_person_in_the_other_camera():
    """Of camera 2's tracklets, its own person's has a cosine of 0.6 and the other's of 0.8."""
    some = group([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0], [0.8, 0.6]])
    loss = some.loss(torch.tensor([[1.0, 0.0]]), np.array([7]), np.array([1]))
    assert loss.item() == pytest.approx(np.log(1 + np.exp(16 * 0.2)), rel=1e-5)


def test_means_follow_their_pictures():
    some = group([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    some.follow(torch.tensor([[0.0, 1.0]]), np.array([5]))
    expected = np.array([0.9, 0.1]) / np.hypot(0.9, 0.1)
    assert_allclose(some.means[1], expected, rtol=1e-6)
    assert_allclose(some.means[[0, 2, 3]], [[1, 0], [0, 1], [1, 0]])


def test_maps_are_for_fine_tuning_alone(store, tmp_path):
    with pytest.raises(ReseenError, match="holds maps to fine-tune on: reseen finetune"):
        train(store, tmp_path / "run", Config.preset("modern"))
    assert not (tmp_path / "run" / "run.json").exists()
    with pytest.raises(ReseenError, match="is there to fine-tune on, not to embed with"):
        open_extractor("lite0-maps")


def test_other_stores_and_too_few_people_are_refused(store, make_store):
    with pytest.raises(ReseenError, match="no maps to fine-tune on; make it with: reseen prepare"):
        finetune(changed(store, trunk="lite0-57934424"))
    other = make_store(TRACKLETS, name="other", vectors=(2, 3_712), trained=set(range(1, 17)))
    with pytest.raises(ReseenError, match="no maps to fine-tune on; make it with: reseen prepare"):
        finetune(changed(other, trunk=lite0.MAPS_NAME))
    few = make_store(TRACKLETS[:30], name="few", vectors=(2, 14_336), trained=set(range(1, 16)))
    with pytest.raises(ReseenError, match=r"has 15 training people in two cameras; .* needs 16"):
        finetune(changed(few, trunk=lite0.MAPS_NAME))
