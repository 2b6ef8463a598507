"""A trained run as an extractor."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch

from reseen.data.clips import FrameReader
from reseen.data.coding import FRAME_SHAPE, pack_frames
from reseen.data.pictures import Picture
from reseen.errors import ReseenError
from reseen.gallery.extractors import Matrix
from reseen.network.checkpoint import Run
from reseen.network.embed import best_device, features_by_kind, final_kind, tracklet_features
from reseen.network.model import FEATURE


class RunExtractor:
    """The final feature of a run: "parts" where all body parts are trained, else its own.

    Pictures are packed as `prepare` packs them; over several test-time views the mean is taken.

    Args:
        run: a finished run.

    Raises:
        ReseenError: weights are missing or do not fit, or the run is not over pictures.
    """

    dimensions = FEATURE
    note = ""

    def __init__(self, run: Run) -> None:
        if run.facts.frame_shape != FRAME_SHAPE:
            raise ReseenError(f"{run.path} was trained on vectors of a trunk, not on pictures")
        self.run, self.model_id = run, run.identity
        self.device = best_device()
        self.networks = {part: run.network(part).to(self.device) for part in run.facts.parts}

    def embed(self, tracklets: Iterable[Sequence[Picture]]) -> Matrix:
        """Features (M, 128) of M tracklets, each RGB pictures in time order."""
        features = [self._embed(pictures) for pictures in tracklets]
        return np.array(features, dtype=np.float32).reshape(-1, FEATURE)

    def _embed(self, pictures: Sequence[Picture]) -> Matrix:
        frames = pack_frames(pictures, self.run.facts.flow)
        reader = FrameReader(frames, self.device)
        span = np.array([0]), np.array([len(frames)])
        by_part = {
            part: tracklet_features(network, reader, *span, part, self.run.config)
            for part, network in self.networks.items()
        }
        views = features_by_kind(self.run, by_part)[final_kind(self.run)]
        mean: Matrix = torch.stack([view[0] for view in views]).mean(dim=0).numpy()
        return mean
