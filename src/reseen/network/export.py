"""A run as one ONNX file, normalisation inside: clips in, features out.

Of a run on a trunk's vectors, trunk and head are joined: single crops in, features out.
"""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from reseen.data.clips import middle_crop, normalise
from reseen.data.coding import FRAME_SHAPE
from reseen.data.frame_vectors import FrameNetwork
from reseen.errors import ReseenError
from reseen.files import written_aside
from reseen.models.networks import Style, open_session
from reseen.network.checkpoint import Run
from reseen.network.embed import open_trunk
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
    """

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.config, self.parts = run.config, run.facts.parts
        self.networks = nn.ModuleList(run.network(part) for part in self.parts)
        self.fusion = run.part_fusion() if run.facts.every_part else None

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


class CropsToPixels(nn.Module):
    """What a trunk takes of crops: in its style, all as they are and then all mirrored.

    Args:
        mirrored: whether mirrors are wanted, too.
    """

    def __init__(self, style: Style, *, mirrored: bool) -> None:
        super().__init__()
        self.style, self.mirrored = style, mirrored
        self.mean = torch.tensor(style.mean, dtype=torch.float32)[:, None, None]
        self.spread = torch.tensor(style.spread, dtype=torch.float32)[:, None, None]

    def forward(self, crops: Tensor) -> Tensor:
        """(N, 3, H, W) float32, RGB from 0 to 255 -> (N or 2·N, 3, H, W)."""
        pixels = (crops - self.mean) / self.spread
        pixels = pixels.flip(1) if self.style.bgr else pixels
        return torch.cat((pixels, pixels.flip(3))) if self.mirrored else pixels


class VectorToFeature(nn.Module):
    """A run's final feature of single crops, from what its trunk makes of them.

    A crop is a tracklet of one picture, looped to a clip.

    Args:
        run: a finished run on the whole body.
        sides: 2 where vectors of mirrored crops follow, else 1.
    """

    def __init__(self, run: Run, sides: int) -> None:
        super().__init__()
        self.config, self.network = run.config, run.network("full")
        self.sides = sides

    def forward(self, vectors: Tensor) -> Tensor:
        """(sides·N, D) -> (N, 128), the mean over both sides."""
        vectors = functional.normalize(vectors.flatten(1))
        seen = self.network.trunk(vectors[:, None]).expand(-1, self.config.clips.frames, -1)
        found: Tensor = getattr(self.network.fuse(seen), self.config.loss.feature)
        if self.config.evaluation.length == "unit":
            found = functional.normalize(found)
        sides = found.reshape(self.sides, -1, FEATURE)
        return sides.mean(dim=0)


def export_onnx(run: Run, path: Path) -> float:
    """Write a run as ONNX, checked against PyTorch, and its MODEL_CARD.md beside it.

    Args:
        path: the ONNX file. Its input "frames" is (batch, T, 5, 64, 48) uint8; of a run on a
            trunk's vectors "crops", (batch, 3, H, W) float32, RGB from 0 to 255. Its output
            "feature" is (batch, 128) float32; the batch is free.

    Returns:
        The largest difference from PyTorch over random input, relative to the largest number.

    Raises:
        ReseenError: the packages for ONNX are missing, the trunk cannot be joined, or the export
            does not agree.
    """
    try:
        import onnx  # noqa: F401  the exporter needs both
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ReseenError("exporting needs more packages: pip install 'reseen[onnx]'") from error
    write = _write_clips if run.facts.frame_shape == FRAME_SHAPE else _write_crops
    with written_aside(path) as temporary:
        difference = write(run, temporary)
        if difference > TOLERANCE:
            raise ReseenError(f"the export differs from PyTorch by {difference:.1e}; not written")
    keep_model_card(run, path.parent)
    return difference


def _write_clips(run: Run, path: Path) -> float:
    """Write a run on pictures; returns how far it is from PyTorch."""
    module = ClipToFeature(run).eval()
    shape = (run.config.clips.frames, *FRAME_SHAPE)
    _export(module, torch.zeros((2, *shape), dtype=torch.uint8), path, "frames", "feature")
    return _difference(path, shape, np.uint8, lambda frames: module(torch.from_numpy(frames)))


def _write_crops(run: Run, path: Path) -> float:
    """Write a run on vectors joined with its trunk; returns how far it is from PyTorch."""
    import onnx
    from onnx.compose import add_prefix, merge_models
    from onnx.version_converter import convert_version

    network = open_trunk(run)
    trunk = _joinable(run, network)
    name, shape = trunk.graph.input[0].name, (3, *network.size)
    sides = 1 if run.config.evaluation.augmentations == 1 else 2
    front = CropsToPixels(network.style, mirrored=sides == 2)
    head = VectorToFeature(run, sides).eval()
    session = open_session(network.path)

    def vectors(crops: NDArray[Any]) -> Tensor:
        pixels = front(torch.from_numpy(crops)).numpy()
        return torch.from_numpy(session.run(None, {name: pixels})[0])

    crops = np.zeros((2, *shape), np.float32)
    _export(front, torch.from_numpy(crops), path, "crops", "pixels")
    first = add_prefix(onnx.load(path), "front/", rename_inputs=False, rename_outputs=False)
    _export(head, vectors(crops), path, "vectors", "feature", sides)
    last = onnx.load(path)
    trunk = add_prefix(convert_version(trunk, last.opset_import[0].version), "trunk/")
    trunk.ir_version = last.ir_version
    joined = merge_models(first, trunk, [("pixels", f"trunk/{name}")])
    joined = merge_models(joined, last, [(trunk.graph.output[0].name, "vectors")])
    onnx.save(joined, path)
    return _difference(path, shape, np.float32, lambda crops: head(vectors(crops)))


def _joinable(run: Run, network: FrameNetwork) -> Any:
    """The trunk's file, where a head can be joined to it."""
    import onnx

    trunk = onnx.load(network.path)
    picture = trunk.graph.input[0].type.tensor_type
    if run.facts.parts != ("full",):
        reason = "halves of a crop cannot be cut in the file; train with --part full"
    elif network.style.padded:
        reason = f"{network.model_id} wants crops padded, which cannot be done in the file"
    elif picture.elem_type != onnx.TensorProto.FLOAT or picture.shape.dim[0].dim_value:
        reason = f"{network.model_id} does not take any number of crops in float32"
    else:
        return trunk
    raise ReseenError(f"{run.path} cannot be joined with its trunk: {reason}")


def _export(
    module: nn.Module, example: Tensor, path: Path, before: str, after: str, multiple: int = 1
) -> None:
    """Write a module as ONNX for any number of inputs that is a multiple of this one."""
    with _quiet_exporter():
        torch.onnx.export(
            module,
            (example,),
            path,
            input_names=[before],
            output_names=[after],
            dynamic_shapes=({0: multiple * torch.export.Dim("batch")},),
            external_data=False,
            verbose=False,
        )


def _difference(
    path: Path,
    shape: tuple[int, ...],
    kind: type[np.generic],
    expected_of: Callable[[NDArray[Any]], Tensor],
) -> float:
    """How far a file is from PyTorch on batches of other sizes than the traced one."""
    session, random, worst = open_session(path), np.random.default_rng(0), 0.0
    for batch in (1, 3):
        values = random.integers(0, 256, (batch, *shape)).astype(kind)
        with torch.inference_mode():
            expected = expected_of(values).numpy()
        (found,) = session.run(None, {session.get_inputs()[0].name: values})
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
