import numpy as np
import pytest
import torch

from reseen.data.clips import augmentation_crops, crop, normalise
from reseen.errors import ReseenError
from reseen.network.config import Config
from reseen.network.embed import embed, embed_all, final_kind
from reseen.network.training import train

FRAMES = 2
PARTS = ("full", "upper", "lower")

pytestmark = pytest.mark.usefixtures("float64")


def features_by_hand(run, frames, part, view):
    """One tracklet, one clip after the other: the mean of each feature over its whole clips."""
    network = run.network(part)
    (crops,) = [v for v in augmentation_crops(16, 1) if (v.top[0], v.mirrored[0]) == view]
    features = []
    for clip in range(len(frames) // FRAMES):
        chosen = torch.from_numpy(np.array(frames[FRAMES * clip : FRAMES * (clip + 1)]))
        values = normalise(chosen[None], part, run.config.clips)
        with torch.no_grad():
            features.append(network(crop(values, crops, negate_mirrored_flow=True)))
    return [torch.cat(values).mean(dim=0).numpy() for values in zip(*features, strict=True)]


def test_feature_of_a_tracklet_is_the_mean_over_its_clips(finished_run):
    run, store = finished_run
    chosen = [3, 10, 12]
    views = embed(run, store, chosen)
    for place, index in enumerate(chosen):
        expected = features_by_hand(run, store.tracklet(index), "full", (4, False))
        for kind, feature in zip(("spatial", "temporal", "fused"), expected, strict=True):
            (view,) = views[kind]
            np.testing.assert_allclose(view.features[place], feature, rtol=1e-9, atol=1e-9)
    (view,) = views["fused"]
    assert view.names == tuple(store.names[index] for index in chosen)
    assert view.persons.tolist() == store.persons[chosen].tolist()
    assert view.cameras.tolist() == store.cameras[chosen].tolist()


def test_tracklets_in_many_batches_are_not_mixed_up(finished_run, monkeypatch):
    run, store = finished_run
    whole = embed(run, store, range(len(store)))["fused"][0].features
    monkeypatch.setattr("reseen.network.embed.TRACKLETS_AT_ONCE", 3)
    monkeypatch.setattr("reseen.network.embed.CLIPS_AT_ONCE", 4)
    pieces = embed(run, store, range(len(store)))["fused"][0].features
    np.testing.assert_allclose(pieces, whole, rtol=1e-9, atol=1e-9)


def test_parts_are_fused_by_equation_10(finished_run):
    run, store = finished_run
    index = 11
    views = embed(run, store, [index])
    fused = [features_by_hand(run, store.tracklet(index), part, (4, False))[2] for part in PARTS]
    expected = sum(
        weight * feature
        for weight, feature in zip(run.part_fusion().weights.tolist(), fused, strict=True)
    )
    np.testing.assert_allclose(views["parts"][0].features[0], expected, rtol=1e-9, atol=1e-9)
    for kind, feature in zip(("upper", "lower"), fused[1:], strict=True):
        np.testing.assert_allclose(views[kind][0].features[0], feature, rtol=1e-9, atol=1e-9)
    assert list(views) == ["spatial", "temporal", "fused", "upper", "lower", "parts"]
    assert final_kind(run) == "parts"


@pytest.fixture(scope="module")
def baseline(finished_run, tmp_path_factory):
    """A run that was trained on its temporal feature, in all parts, with 16 views."""
    settings = {
        "clips": {"frames": FRAMES, "negate_mirrored_flow": True},
        "train": {"updates": 1, "pairs": 1},
    }
    config = Config.from_mapping(settings, "test", Config.preset("mclaughlin"))
    folder = tmp_path_factory.mktemp("baseline")
    return train(finished_run[1], folder / "run", config, PARTS)


def test_parts_are_of_the_feature_that_was_trained(baseline, finished_run):
    store = finished_run[1]
    views = embed(baseline, store, [5])
    upper = features_by_hand(baseline, store.tracklet(5), "upper", (1, False))[1]
    np.testing.assert_allclose(views["upper"][0].features[0], upper, rtol=1e-9, atol=1e-9)


def test_sixteen_augmentations_each_have_their_crop(baseline, make_store):
    store = make_store([(3, 1, 6), (3, 2, 6)])
    views = embed(baseline, store, [0])["temporal"]
    assert len(views) == 16
    expected = [
        features_by_hand(baseline, store.tracklet(0), "full", (edge, mirrored))[1]
        for mirrored in (False, True)
        for edge in range(1, 9)
    ]
    for view, feature in zip(views, expected, strict=True):
        np.testing.assert_allclose(view.features[0], feature, rtol=1e-9, atol=1e-9)
    mean = embed_all(baseline, store, "temporal").features[0]
    np.testing.assert_allclose(mean, np.mean(expected, axis=0), rtol=1e-9, atol=1e-9)


def test_all_tracklets_are_embedded_with_the_final_feature(finished_run):
    run, store = finished_run
    embeddings = embed_all(run, store)
    parts = embed(run, store, range(len(store)))["parts"][0]
    assert embeddings.names == store.names
    np.testing.assert_allclose(embeddings.features, parts.features, rtol=1e-9, atol=1e-9)


def test_feature_that_a_run_has_not_is_refused(finished_run):
    with pytest.raises(ReseenError, match="has no feature 'middle'; it has spatial, temporal"):
        embed_all(*finished_run, "middle")
