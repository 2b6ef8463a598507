import numpy as np
import pytest
import torch

from reseen.data.coding import FRAME_SHAPE
from reseen.errors import ReseenError
from reseen.network.checkpoint import WEIGHTS_FILE, Run, RunFacts, versions, write_tensors
from reseen.network.config import ClipConfig, Config, NetworkConfig
from reseen.network.model import SpatialTemporalFusion
from reseen.report.pictures import (
    flow_colours,
    frame_influence,
    strip_figure,
)
from reseen.report.plots import png


def network(**settings):
    torch.manual_seed(0)
    return SpatialTemporalFusion(NetworkConfig(**settings)).eval()


def clip(frames=5):
    return torch.randn(frames, 5, 56, 40, generator=torch.Generator().manual_seed(1))


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("recurrent_input", ["own", "tied", "separate"])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_influence_is_the_way_that_the_feature_moves_without_a_frame(recurrent_input, activation):
    """Against equations (3)-(5) in numpy, step by step, frame by frame left out."""
    model, frames = network(recurrent_input=recurrent_input, activation=activation), clip()
    with torch.no_grad():
        flattened = model.trunk(frames[None])[0]
        projection = model.separate_projection or model.projection
        i = projection(flattened).numpy().astype(np.float64)
        w_i, w_s, b_i, b_s = (w.numpy().astype(np.float64) for w in model.recurrence.all_weights[0])
    squash = np.tanh if activation == "tanh" else lambda o: np.maximum(o, 0)

    def x_r(kept):
        r, total = np.zeros(128), np.zeros(128)
        for t in kept:
            o = w_i @ i[t] + b_i + w_s @ r + b_s
            r, total = squash(o), total + o
        return total / len(kept)

    whole = x_r(range(5))
    expected = [
        np.linalg.norm(x_r([t for t in range(5) if t != left_out]) - whole) / np.linalg.norm(whole)
        for left_out in range(5)
    ]
    np.testing.assert_allclose(frame_influence(model, frames), expected, rtol=1e-9)


@pytest.mark.usefixtures("float64")
def test_without_memory_a_repeated_frame_moves_nothing_and_an_odd_one_most():
    model = network()
    torch.nn.init.zeros_(model.recurrence.weight_hh_l0)
    frames = clip(1).expand(6, -1, -1, -1).clone()
    np.testing.assert_allclose(frame_influence(model, frames), 0, atol=1e-12)
    frames[4] += clip(2)[1]
    assert frame_influence(model, frames).argmax() == 4


@pytest.mark.parametrize(
    ("vertical", "horizontal", "colour"),
    [
        (0, 0, (255, 255, 255)),
        (0, 2, (217, 0, 0)),
        (0, -2, (0, 217, 217)),
        (0, 9, (217, 0, 0)),
        (0, 1, (236, 118, 118)),
    ],
)
def test_flow_is_coloured_by_direction_and_speed(vertical, horizontal, colour):
    flow = np.array([vertical, horizontal], np.float32)[:, None, None]
    np.testing.assert_allclose(flow_colours(flow, 2.0)[0, 0], colour, atol=1)


def test_up_and_down_have_colours_of_their_own():
    flow = np.array([[-1, 1, 0, 0], [0, 0, -1, 1]], np.float32)[:, None]
    assert len(np.unique(flow_colours(flow, 1.0)[0], axis=0)) == 4


def make_run(path, frames):
    config = Config(clips=ClipConfig(frames=frames))
    run = Run.create(
        path,
        config,
        RunFacts("noise", "store", "dis", FRAME_SHAPE, 0, 0, ("full",), (1,), (), versions()),
    )
    weights = {f"network.{name}": value for name, value in network().state_dict().items()}
    (path / "full").mkdir()
    write_tensors(path / "full" / WEIGHTS_FILE, weights, {})
    return run


@pytest.mark.parametrize("length", [2, 8, 40])
def test_a_strip_shows_every_frame_of_the_middle_clip_with_flow_and_bar(
    make_store, tmp_path, length
):
    store, run = make_store([(1, 1, length), (1, 2, 8)]), make_run(tmp_path / "run", 8)
    (axes,) = strip_figure(run, store, 0).axes
    assert len(axes.images) == 1 + 2 * 8  # the wheel, then pictures and flow
    assert len(axes.patches) == 8
    shares = [text.get_text() for text in axes.texts if text.get_text().endswith("%")]
    assert len(shares) == 8
    assert png(strip_figure(run, store, 0)).startswith(b"\x89PNG")


def test_clips_of_one_frame_are_refused(make_store, tmp_path):
    store, run = make_store([(1, 1, 9), (1, 2, 8)]), make_run(tmp_path / "run", 1)
    with pytest.raises(ReseenError, match="clips of one frame"):
        strip_figure(run, store, 0)
