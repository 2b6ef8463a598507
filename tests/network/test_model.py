import numpy as np
import pytest
import torch

from reseen.network.config import Config, NetworkConfig
from reseen.network.losses import Learner
from reseen.network.model import DropoutMasks, Features, PartFusion, SpatialTemporalFusion

CLIPS, FRAMES = 2, 4
EVERYTHING = DropoutMasks(np.ones((CLIPS, FRAMES, 2560)), np.ones((CLIPS, FRAMES, 128)))


def network(**settings):
    """A network in float64 whose start is not the zeros it is born with."""
    torch.manual_seed(0)
    made = SpatialTemporalFusion(NetworkConfig(**settings)).double()
    torch.nn.init.normal_(made.start)
    return made


def some_clips():
    return torch.randn(CLIPS, FRAMES, 5, 56, 40, dtype=torch.float64)


def some_masks():
    keep = torch.distributions.Bernoulli(torch.tensor(0.4, dtype=torch.float64))
    return DropoutMasks(
        keep.sample((CLIPS, FRAMES, 2560)) / 0.4, keep.sample((CLIPS, FRAMES, 128)) / 0.4
    )


def by_hand(made, clips, masks=None):
    """Equations (1)-(6) frame by frame, in NumPy."""
    weights = {name: value.numpy() for name, value in made.state_dict().items()}
    activation = {"relu": lambda values: np.maximum(values, 0), "tanh": np.tanh}[
        made.config.activation
    ]
    kept = EVERYTHING if masks is None else DropoutMasks(*(mask.numpy() for mask in masks))
    spatial, temporal = np.zeros((2, CLIPS, FRAMES, 128))
    for clip in range(CLIPS):
        r = weights["start"]
        for t in range(FRAMES):
            flattened = trunk_by_hand(weights, activation, clips[clip, t].numpy())
            flattened = flattened * kept.flattened[clip, t]
            f = linear(weights, "projection.weight", "projection.bias", flattened)
            o = input_by_hand(made.config.recurrent_input, weights, flattened, f)
            o = o + linear(
                weights,
                "recurrence.weight_hh_l0",
                "recurrence.bias_hh_l0",
                r * kept.recurrent[clip, t],
            )
            r = activation(o)
            spatial[clip, t], temporal[clip, t] = f, o
    x_c, x_r = (torch.from_numpy(values.mean(axis=1)) for values in (spatial, temporal))
    return Features(x_c, x_r, x_c + x_r)


def trunk_by_hand(weights, activation, maps):
    """Three times activation(max-pool(convolution)): (5, 56, 40) -> (2560,)."""
    for layer in range(3):
        block = f"trunk.convolutions.{layer}"
        kernel, bias = (weights[f"{block}.{kind}"] for kind in ("weight", "bias"))
        padded = np.pad(maps, ((0, 0), (4, 4), (4, 4)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5), axis=(1, 2))
        maps = np.einsum("chwij,kcij->khw", windows, kernel) + bias[:, None, None]
        height, width = (size // 2 for size in maps.shape[1:])
        whole = maps[:, : 2 * height, : 2 * width]
        maps = activation(whole.reshape(-1, height, 2, width, 2).max(axis=(2, 4)))
    return maps.ravel()


def input_by_hand(kind, weights, flattened, f):
    """W_i f(t) of eq. (3) in its three readings."""
    if kind == "own":
        return linear(weights, "recurrence.weight_ih_l0", "recurrence.bias_ih_l0", f)
    if kind == "separate":
        return linear(weights, "separate_projection.weight", "separate_projection.bias", flattened)
    return f


def linear(weights, matrix, bias, values):
    return weights[matrix] @ values + weights[bias]


@pytest.mark.parametrize("dropout", [False, True], ids=["fused", "step by step"])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("recurrent_input", ["own", "tied", "separate"])
def test_network_is_equations_1_to_6(recurrent_input, activation, dropout):
    made = network(recurrent_input=recurrent_input, activation=activation)
    clips, masks = some_clips(), some_masks() if dropout else None
    with torch.no_grad():
        computed = made(clips, masks)
    for name, expected in by_hand(made, clips, masks)._asdict().items():
        torch.testing.assert_close(getattr(computed, name), expected, rtol=1e-11, atol=1e-11)


def test_fused_recurrence_equals_step_by_step_to_rounding():
    made, f = network(), torch.randn(CLIPS, 16, 128, dtype=torch.float64)
    with torch.no_grad():
        fused, stepped = made.outputs(f), made.outputs(f, torch.ones_like(f))
    torch.testing.assert_close(fused, stepped, rtol=1e-13, atol=1e-13)


def test_maps_have_the_papers_sizes():
    made, seen = network(), []
    for convolution in made.trunk.convolutions:
        convolution.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[1:]))
    flattened = made.trunk(some_clips())
    assert seen == [(5, 56, 40), (16, 30, 22), (32, 17, 13)]
    assert flattened.shape == (CLIPS, FRAMES, 32 * 10 * 8)


@pytest.mark.parametrize(
    ("settings", "parameters"),
    [
        ({"recurrent_input": "tied"}, 384_800),
        ({"recurrent_input": "own"}, 384_800 + 16_512),
        ({"recurrent_input": "identity-first"}, 384_800 + 16_512),
        ({"recurrent_input": "separate"}, 384_800 + 327_808),
        ({"recurrent_input": "tied", "learned_start": True}, 384_800 + 128),
    ],
)
def test_parameters_are_as_many_as_published(settings, parameters):
    learner = Learner(Config(network=NetworkConfig(**settings)), people=100, seed=0)
    trained = [value.numel() for value in learner.network.parameters() if value.requires_grad]
    assert sum(trained) == parameters
    assert sum(value.numel() for value in learner.classifier.parameters()) == 129 * 100


def test_an_input_that_starts_as_the_identity_starts_as_the_tied_one():
    clips = some_clips()
    first, tied = (network(recurrent_input=name) for name in ("identity-first", "tied"))
    tied.load_state_dict(first.state_dict())
    w_i, _, bias_i, _ = first.recurrence.all_weights[0]
    assert torch.equal(w_i, torch.eye(128, dtype=w_i.dtype))
    assert not bias_i.any()
    with torch.no_grad():
        torch.testing.assert_close(first(clips).temporal, tied(clips).temporal)


def test_order_of_frames_matters_to_the_temporal_feature_alone():
    made, clips = network(), some_clips()
    with torch.no_grad():
        forwards, backwards = made(clips), made(clips.flip(1))
    torch.testing.assert_close(forwards.spatial, backwards.spatial)
    assert (forwards.temporal - backwards.temporal).abs().max() > 1e-3


def test_fused_feature_is_the_sum_of_unlike_features():
    with torch.no_grad():
        features = network()(some_clips())
    torch.testing.assert_close(features.fused, features.spatial + features.temporal)
    assert (features.spatial - features.temporal).abs().max() > 1e-3


def test_start_is_zeros_unless_it_is_learned():
    made = SpatialTemporalFusion()
    assert not made.start.any()
    assert not made.start.requires_grad


def test_clips_of_a_batch_do_not_touch_each_other():
    made, clips = network(), some_clips()
    with torch.no_grad():
        together, alone = made(clips).fused, [made(clip[None]).fused for clip in clips]
    torch.testing.assert_close(together, torch.cat(alone))


def test_parts_are_weighted_by_equation_10():
    fusion, parts = PartFusion().double(), torch.randn(3, 4, 128, dtype=torch.float64)
    fusion.logits.data = torch.tensor([0.5, 0.2, 0.3], dtype=torch.float64).log()
    whole, upper, lower = parts
    assert PartFusion.PARTS == ("full", "upper", "lower")
    torch.testing.assert_close(fusion(parts), 0.5 * whole + 0.2 * upper + 0.3 * lower)


def test_parts_weigh_the_same_before_learning():
    torch.testing.assert_close(PartFusion().weights, torch.full((3,), 1 / 3))
