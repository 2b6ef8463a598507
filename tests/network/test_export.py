"""A run written as ONNX gives the features that PyTorch gives."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from reseen.data.coding import FRAME_SHAPE
from reseen.data.frame_vectors import open_network
from reseen.errors import ReseenError
from reseen.gallery.extractors import open_extractor
from reseen.models import lite0
from reseen.network import export
from reseen.network.checkpoint import RunFacts, versions, write_tensors
from reseen.network.config import Config
from reseen.network.embed import RunExtractor, load
from reseen.network.export import TOLERANCE, ClipToFeature, export_onnx
from reseen.network.losses import Learner
from reseen.network.model import PartFusion

pytest.importorskip("onnxscript")


def make_run(path: Path, parts=("full",)) -> RunExtractor:
    config = Config()
    facts = RunFacts("folder", "", "dis", FRAME_SHAPE, 0, 0, tuple(parts), (1, 2), (), versions())
    run = RunExtractor.create(path, config, facts)
    for seed, part in enumerate(parts):
        weights = dict(Learner(config, 2, seed).named_parameters())
        write_tensors(path / part / "weights.safetensors", weights, {})
    if len(parts) > 1:
        run.save_part_fusion(PartFusion())
    return run


@pytest.mark.parametrize("parts", [("full",), PartFusion.PARTS])
def test_any_batch_gives_the_features_of_pytorch(tmp_path, parts):
    run = make_run(tmp_path / "run", parts)

    assert export_onnx(run, tmp_path / "run.onnx") < TOLERANCE
    card = (tmp_path / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert f"`{run.identity}`" in card

    frames = np.random.default_rng(1).integers(0, 256, (5, 16, 5, 64, 48), dtype=np.uint8)
    session = onnxruntime.InferenceSession(tmp_path / "run.onnx")
    (found,) = session.run(["feature"], {"frames": frames})
    with torch.inference_mode():
        expected = ClipToFeature(run)(torch.from_numpy(frames)).numpy()
    assert np.abs(found - expected).max() < TOLERANCE * np.abs(expected).max()
    assert np.ptp(found, axis=0).max() > 0, "every clip gives the same feature"


def test_an_export_that_differs_is_not_written(tmp_path, monkeypatch):
    run = make_run(tmp_path / "run")
    monkeypatch.setattr(export, "TOLERANCE", -1.0)

    with pytest.raises(ReseenError, match="differs from PyTorch"):
        export_onnx(run, tmp_path / "run.onnx")

    assert not (tmp_path / "run.onnx").exists()


def make_trunk_run(path: Path, parts=("full",), trunk=lite0.NAME, trunk_file="") -> RunExtractor:
    """A run with random weights on what lite0 stores."""
    shape = (6, lite0.DIMENSIONS)
    config = Config.from_mapping({"clips": {"frames": 2}}, "test", Config.preset("modern"))
    facts = RunFacts("folder", "", "none", shape, 0, 0, parts, (1, 2), (), versions())
    facts = replace(facts, trunk=trunk, trunk_file=trunk_file)
    run = RunExtractor.create(path, config, facts)
    weights = dict(Learner(config, 2, 0, shape).named_parameters())
    write_tensors(path / "full" / "weights.safetensors", weights, {})
    return run


def test_a_run_on_a_trunk_becomes_one_file_over_crops(tmp_path):
    """The run itself keeps vectors as float16: each number of them is off by 2^-11 of itself."""
    run, path = make_trunk_run(tmp_path / "run"), tmp_path / "run.onnx"
    assert export_onnx(run, path) < TOLERANCE
    assert f"`{run.identity}`" in (tmp_path / "MODEL_CARD.md").read_text(encoding="utf-8")

    crops = list(np.random.default_rng(1).integers(0, 256, (3, 256, 128, 3), np.uint8))
    session = onnxruntime.InferenceSession(path)
    pixels = np.stack(crops).transpose(0, 3, 1, 2).astype(np.float32)
    (found,) = session.run(["feature"], {"crops": pixels})
    expected = run.embed([[crop] for crop in crops])
    assert found.shape == (3, 128)
    assert np.linalg.norm(found - expected, axis=1).max() < 2**-11
    assert np.linalg.norm(expected[0] - expected[1]) > 0.03

    added = open_extractor(str(path)).embed([[crop] for crop in crops])
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    np.testing.assert_allclose(added, found / lengths, atol=1e-5)


def test_a_run_on_a_trunk_from_a_file_finds_it_again_or_asks_for_it(tmp_path):
    """`export` opens it as `embed` does."""
    file = tmp_path / "own.onnx"
    file.write_bytes(lite0.lite0_file().read_bytes())
    model_id = open_network(str(file), "half").model_id
    run = make_trunk_run(tmp_path / "run", trunk=model_id, trunk_file=str(file))
    crop = np.random.default_rng(1).integers(0, 256, (256, 128, 3), np.uint8)
    found = load(run.path).embed([[crop]])
    assert np.abs(found - make_trunk_run(tmp_path / "other").embed([[crop]])).max() > 1e-4

    file.unlink()
    with pytest.raises(ReseenError, match=f"run needs the trunk .* {model_id} lies neither at"):
        load(run.path).embed([[crop]])


def test_what_cannot_be_joined_is_said(tmp_path):
    run = make_trunk_run(tmp_path / "run", PartFusion.PARTS)
    with pytest.raises(ReseenError, match="halves of a crop cannot be cut"):
        export_onnx(run, tmp_path / "run.onnx")
    assert not (tmp_path / "run.onnx").exists()
