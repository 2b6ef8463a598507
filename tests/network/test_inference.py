import numpy as np
import pytest
import torch

from reseen.data.clips import FrameReader, tracklet_clips
from reseen.network import embed as inference
from reseen.network.config import Config
from reseen.network.embed import tracklet_features
from reseen.network.model import Features

CPU = torch.device("cpu")


class Counter(torch.nn.Module):
    """Instead of a network: says how many clips it has seen and what lies in them."""

    def __init__(self):
        super().__init__()
        self.batches = []

    def forward(self, clips):
        self.batches.append(len(clips))
        summary = torch.zeros(len(clips), 128)
        summary[:, 0] = clips.square().mean(dim=(1, 2, 3, 4))
        summary[:, 1] = clips[:, 0, 0, 0, 0]
        return Features(summary, 2 * summary, 3 * summary)


def config(**changes):
    return Config.from_mapping({"clips": {"frames": 4}} | changes, "test")


@pytest.fixture
def store(make_store):
    return make_store([(1, 1, 9), (2, 1, 3), (3, 1, 12), (4, 1, 5)])


def features(store, settings, network=None):
    reader = FrameReader(store.frames, CPU)
    return tracklet_features(
        network or Counter(), reader, store.starts, store.lengths, "full", settings
    )


@pytest.mark.parametrize(("tail", "clips"), [("drop", 2 + 1 + 3 + 1), ("loop", 3 + 1 + 3 + 2)])
@pytest.mark.parametrize("augmentations", [1, 16])
def test_network_sees_every_clip_once_an_augmentation(
    store, monkeypatch, tail, clips, augmentations
):
    monkeypatch.setattr(inference, "CLIPS_AT_ONCE", 3)
    network = Counter()
    settings = config(evaluation={"augmentations": augmentations, "tail": tail})
    found = features(store, settings, network)
    assert sum(network.batches) == clips * augmentations
    assert max(network.batches) <= 3
    assert len(found) == augmentations
    assert found[0].spatial.shape == (4, 128)


def test_tracklet_is_the_mean_of_its_clips(store):
    settings = config(evaluation={"augmentations": 1, "tail": "loop"})
    (found,) = features(store, settings)
    for tracklet, (start, length) in enumerate(zip(store.starts, store.lengths, strict=True)):
        clips = tracklet_clips(start, length, 4, "loop")
        single = [
            tracklet_features(
                Counter(),
                FrameReader(store.frames[rows], CPU),
                np.array([0]),
                np.array([4]),
                "full",
                settings,
            )[0].spatial
            for rows in clips
        ]
        torch.testing.assert_close(found.spatial[tracklet], torch.cat(single).mean(dim=0))
        torch.testing.assert_close(found.temporal, 2 * found.spatial)


@pytest.mark.usefixtures("float64")
def test_augmentations_differ_and_mirrors_come_last(store):
    # Flow that keeps its sign: a mirrored clip then has exactly the energy of the plain one.
    found = features(store, config(clips={"frames": 4, "negate_mirrored_flow": False}))
    corners = torch.stack([view.spatial[:, 1] for view in found])
    assert len(found) == 16
    assert len({tuple(corner.tolist()) for corner in corners}) == 16
    energy = torch.stack([view.spatial[:, 0] for view in found])
    torch.testing.assert_close(energy[:8], energy[8:], rtol=1e-9, atol=1e-9)
