"""Features of clips and of whole tracklets from a trained network."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from reseen.data.clips import (
    BodyPart,
    Crops,
    FrameReader,
    Integers,
    crop,
    normalise,
    tracklet_clips,
    view_crops,
)
from reseen.network.config import ClipConfig, Config
from reseen.network.model import FEATURE, Features, SpatialTemporalFusion

CLIPS_AT_ONCE = 8
"""More only spill out of a processor's caches: 32 take half as long again each."""


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
        network: in evaluation mode, on the device of `frames`.
        frames: (n, T, 5, 64, 48) uint8.
        part: the body part that the network was trained on.
        config: the normalisation that it was trained with.
        views: the crops, n each.

    Returns:
        Features of (n, 128) for each view.
    """
    clips = normalise(frames, part, config.normalise, config.flow, config.flow_unit)
    return [network(crop(clips, view, config.negate_mirrored_flow)) for view in views]


def tracklet_features(
    network: SpatialTemporalFusion,
    reader: FrameReader,
    starts: Integers,
    lengths: Integers,
    part: BodyPart,
    config: Config,
) -> list[Features]:
    """Features of tracklets: the mean over all their clips (section 3.2).

    Args:
        network: in evaluation mode, on the reader's device.
        reader: of the frames.
        starts, lengths: rows of the M tracklets, (M,).
        part: the body part that the network was trained on.
        config: of its training.

    Returns:
        Features of (M, 128) on the CPU for each test-time view.
    """
    settings = config.clips, config.evaluation
    clips = [
        (tracklet, rows)
        for tracklet, (start, length) in enumerate(zip(starts, lengths, strict=True))
        for rows in tracklet_clips(start, length, settings[0].frames, settings[1].tail)
    ]
    owners = torch.tensor([tracklet for tracklet, _ in clips])
    views = config.evaluation.views
    sums = torch.zeros(views, len(Features._fields), len(starts), FEATURE)
    for first in range(0, len(clips), CLIPS_AT_ONCE):
        rows = np.stack([rows for _, rows in clips[first : first + CLIPS_AT_ONCE]])
        crops = view_crops(views, len(rows))
        batch = clip_features(network, reader.read(rows), part, config.clips, crops)
        owner = owners[first : first + CLIPS_AT_ONCE]
        for view, features in zip(sums, batch, strict=True):
            view.index_add_(1, owner, torch.stack(features).cpu())
    means = sums / owners.bincount(minlength=len(starts))[:, None]
    return [Features(*view) for view in means]
