"""Features of clips from a trained network."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from reseen.data.clips import BodyPart, Crops, FrameReader, Integers, crop, normalise
from reseen.network.config import ClipConfig
from reseen.network.model import Features, SpatialTemporalFusion

CLIPS_AT_ONCE = 32


@torch.inference_mode()
def clip_features(
    network: SpatialTemporalFusion,
    frames: Tensor,
    part: BodyPart,
    config: ClipConfig,
    views: Sequence[Crops],
) -> list[Features]:
    """Features of clips as stored, once for each view.

    Args:
        network: in evaluation, on the device of `frames`.
        frames: (n, T, 5, 64, 48) uint8.
        part: the body part that the network was trained on.
        config: the normalisation that it was trained with.
        views: the crops, n each.

    Returns:
        Features of (n, 128) for each view.
    """
    clips = normalise(frames, part, config.normalise, config.flow)
    return [network(crop(clips, view, config.negate_mirrored_flow)) for view in views]


def in_batches(rows: Sequence[Integers], reader: FrameReader) -> Iterator[Tensor]:
    """Read clips in batches of at most `CLIPS_AT_ONCE`: (n, T, 5, 64, 48) uint8 each."""
    for first in range(0, len(rows), CLIPS_AT_ONCE):
        yield reader.read(np.stack(rows[first : first + CLIPS_AT_ONCE]))
