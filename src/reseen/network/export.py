"""A run as one ONNX file: clips in, features out, normalisation inside."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from reseen.data.clips import middle_crop, normalise
from reseen.data.coding import FRAME_SHAPE
from reseen.errors import ReseenError
from reseen.files import written_aside
from reseen.network.checkpoint import Run
from reseen.network.model import FEATURE, PartFusion
from reseen.network.model_card import keep_model_card

TOLERANCE = 1e-4
"""Largest difference from PyTorch that an export may show, relative to the largest number.

A feature ends a chain of some 4,000 products; rounded to float32 (6e-8) and added in another order,
they are apart by 4e-6 when errors are independent and by 2e-4 were all of one sign.
"""


class ClipToFeature(nn.Module):
    """A run's final feature of clips, from frames as a store holds them.

    With all body parts that is eq. (10), else the feature that the network was trained on.

    Args:
        run: a finished run.
    """

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.config, self.parts = run.config, run.facts.parts
        self.networks = nn.ModuleList(run.network(part) for part in self.parts)
        self.fusion = run.part_fusion() if set(self.parts) == set(PartFusion.PARTS) else None

    def forward(self, frames: Tensor) -> Tensor:
        """Features of the middle crop.

        Args:
            frames: (B, T, 5, 64, 48) uint8, channels as in `reseen.data.coding.CHANNELS`.

        Returns:
            (B, 128) float32.
        """
        clips = self.config.clips
        features = []
        for network, part in zip(self.networks, self.parts, strict=True):
            values = normalise(frames, part, clips)
            features.append(getattr(network(middle_crop(values)), self.config.loss.feature))
        found = torch.as_tensor(features[0])
        if self.fusion is not None:
            by_part = dict(zip(self.parts, features, strict=True))
            found = self.fusion(torch.stack([by_part[part] for part in PartFusion.PARTS]))
        return functional.normalize(found) if self.config.evaluation.length == "unit" else found


def export_onnx(run: Run, path: Path) -> float:
    """Write a run as ONNX, checked against PyTorch, and its MODEL_CARD.md beside it.

    Args:
        run: a finished run.
        path: the ONNX file. Its input "frames" is (batch, T, 5, 64, 48) uint8, its output
            "feature" is (batch, 128) float32; the batch is free.

    Returns:
        The largest difference from PyTorch over random clips, relative to the largest number.

    Raises:
        ReseenError: the packages for ONNX are missing, or the export does not agree.
    """
    try:
        import onnx  # noqa: F401  the exporter needs both
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ReseenError("exporting needs more packages: pip install 'reseen[onnx]'") from error
    import onnxruntime

    module = ClipToFeature(run).eval()
    random = np.random.default_rng(0)
    if run.facts.frame_shape != FRAME_SHAPE:
        raise ReseenError(f"{run.path} was trained on vectors of a trunk; it cannot be exported")
    shape = (2, run.config.clips.frames, *FRAME_SHAPE)
    frames = torch.from_numpy(random.integers(0, 256, shape, dtype=np.uint8))
    with written_aside(path) as temporary, _quiet_exporter():
        torch.onnx.export(
            module,
            (frames,),
            temporary,
            input_names=["frames"],
            output_names=["feature"],
            dynamic_shapes={"frames": {0: torch.export.Dim("batch")}},
            external_data=False,
            verbose=False,
        )
        session = onnxruntime.InferenceSession(temporary, providers=["CPUExecutionProvider"])
        difference = _difference(module, session, shape, random)
        if difference > TOLERANCE:
            raise ReseenError(f"the export differs from PyTorch by {difference:.1e}; not written")
    keep_model_card(run, path.parent)
    return difference


def _difference(
    module: nn.Module, session: object, shape: tuple[int, ...], random: np.random.Generator
) -> float:
    """How far both are apart on batches of other sizes than the traced one."""
    worst = 0.0
    for batch in (1, 3):
        frames = random.integers(0, 256, (batch, *shape[1:]), dtype=np.uint8)
        with torch.inference_mode():
            expected = module(torch.from_numpy(frames)).numpy()
        found = session.run(["feature"], {"frames": frames})[0]  # type: ignore[attr-defined]
        if found.shape != (batch, FEATURE):
            raise ReseenError(f"the export gives features of shape {found.shape}; not written")
        worst = max(worst, float(np.abs(found - expected).max() / np.abs(expected).max()))
    return worst


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Hold back the exporter's remarks on its own workings and on packages that are not needed."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
