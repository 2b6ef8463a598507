"""A run and tracklets in, Embeddings of every feature kind out, with test-time augmentation."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from reseen.data.clip_config import ClipConfig
from reseen.data.clips import (
    BodyPart,
    Crops,
    FrameReader,
    Integers,
    augmentation_crops,
    crop,
    normalise,
    tracklet_clips,
)
from reseen.data.coding import FRAME_SHAPE, pack_frames
from reseen.data.embeddings import Embeddings, averaged
from reseen.data.pictures import Picture
from reseen.data.store import FrameStore
from reseen.errors import ReseenError
from reseen.network.checkpoint import WEIGHTS_FILE, Run
from reseen.network.config import Config
from reseen.network.model import FEATURE, Features, PartFusion, SpatialTemporalFusion
from reseen.progress import progress

if TYPE_CHECKING:
    from reseen.data.frame_vectors import FrameNetwork

AugmentedEmbeddings = tuple[Embeddings, ...]
"""The same tracklets once for each test-time augmentation."""

FrameMaker = Callable[[Sequence[Picture]], NDArray[np.generic]]
"""Makes of pictures the frames that a run was trained on."""

TRACKLETS_AT_ONCE = 64

CLIPS_AT_ONCE = 8
"""More only spill out of a processor's caches: 32 take half as long again each."""


def best_device() -> torch.device:
    """The accelerator where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def embed(
    run: Run, store: FrameStore, indices: Sequence[int], weights: str = WEIGHTS_FILE
) -> dict[str, AugmentedEmbeddings]:
    """Features of some of a store's tracklets, of every kind that the run can give.

    Args:
        indices: which of its tracklets, M of them.
        weights: name of the networks' files; a snapshot's for a smaller budget.

    Returns:
        By kind: "spatial", "temporal" and "fused" of the whole body or of the only part trained;
        with all parts also "upper" and "lower", the feature that these were trained on, and
        "parts", eq. (10).
    """
    if store.frame_shape != run.facts.frame_shape:
        raise ReseenError(
            f"{run.path} was trained on frames of shape {run.facts.frame_shape}, "
            f"{store.path} holds frames of shape {store.frame_shape}"
        )
    chosen = np.asarray(indices, dtype=np.int64)
    reader = FrameReader(store.frames, best_device())
    by_part = {
        part: _part_features(
            run.network(part, weights).to(reader.device),
            part,
            run.config,
            reader,
            store.starts[chosen],
            store.lengths[chosen],
        )
        for part in run.facts.parts
    }
    names = tuple(store.names[index] for index in chosen)
    return {
        kind: tuple(
            Embeddings(augmented.numpy(), store.persons[chosen], store.cameras[chosen], names)
            for augmented in augmentations
        )
        for kind, augmentations in features_by_kind(run, by_part).items()
    }


def embed_all(run: Run, store: FrameStore, kind: str | None = None) -> Embeddings:
    """One feature for every tracklet of a store, the mean over the test-time augmentations.

    Args:
        kind: which feature; by default the run's final one.
    """
    features = embed(run, store, range(len(store)))
    wanted = kind or final_kind(run)
    if wanted not in features:
        raise ReseenError(f"{run.path} has no feature {wanted!r}; it has {', '.join(features)}")
    return averaged(features[wanted])


def final_kind(run: Run) -> str:
    """The feature that a run is meant to be used with."""
    return "parts" if run.facts.every_part else run.config.loss.feature


def _part_features(
    network: SpatialTemporalFusion,
    part: BodyPart,
    config: Config,
    reader: FrameReader,
    starts: Integers,
    lengths: Integers,
) -> list[Features]:
    """Features of one body part's network, (M, 128) each, for each test-time augmentation."""
    blocks = []
    with progress(f"features {part}", len(starts), "tracklets") as advance:
        for first in range(0, len(starts), TRACKLETS_AT_ONCE):
            block = slice(first, first + TRACKLETS_AT_ONCE)
            blocks.append(
                tracklet_features(network, reader, starts[block], lengths[block], part, config)
            )
            advance(len(starts[block]))
    return [
        Features(*map(torch.cat, zip(*augmented, strict=True)))
        for augmented in zip(*blocks, strict=True)
    ]


def features_by_kind(
    run: Run, by_part: Mapping[BodyPart, list[Features]]
) -> dict[str, list[torch.Tensor]]:
    """Features of every kind that a run can give, from those of its body parts.

    Args:
        run: where the weights of eq. (10) are.
        by_part: features (M, 128) for each body part and test-time augmentation.

    Returns:
        (M, 128) by kind, for each test-time augmentation.
    """
    main = by_part.get("full") or next(iter(by_part.values()))
    kinds = {kind: [getattr(augmented, kind) for augmented in main] for kind in Features._fields}
    if set(by_part) == set(PartFusion.PARTS):
        trained = run.config.loss.feature
        parts = {
            part: [getattr(augmented, trained) for augmented in augmentations]
            for part, augmentations in by_part.items()
        }
        kinds |= {"upper": parts["upper"], "lower": parts["lower"]}
        fusion = run.part_fusion().requires_grad_(False)
        kinds["parts"] = [
            fusion(torch.stack(augmented))
            for augmented in zip(*(parts[part] for part in PartFusion.PARTS), strict=True)
        ]
    if run.config.evaluation.length == "unit":
        kinds = {kind: [normalize(each) for each in found] for kind, found in kinds.items()}
    return kinds


@torch.inference_mode()
def clip_features(
    network: SpatialTemporalFusion,
    frames: Tensor,
    part: BodyPart,
    config: ClipConfig,
    augmentations: Sequence[Crops],
) -> list[Features]:
    """Features of clips as stored, once for each test-time augmentation.

    Args:
        network: in evaluation mode, on the device of `frames`.
        frames: (n, T, *frame shape), as stored.
        part: the body part that the network was trained on.
        config: the normalisation that it was trained with.
        augmentations: the crops, n each.

    Returns:
        Features of (n, 128) for each test-time augmentation.
    """
    clips = normalise(frames, part, config)
    return [
        network(crop(clips, augmented, config.negate_mirrored_flow)) for augmented in augmentations
    ]


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
        Features of (M, 128) on the CPU for each test-time augmentation.
    """
    settings = config.clips, config.evaluation
    clips = [
        (tracklet, rows)
        for tracklet, (start, length) in enumerate(zip(starts, lengths, strict=True))
        for rows in tracklet_clips(start, length, settings[0].frames, settings[1].tail)
    ]
    owners = torch.tensor([tracklet for tracklet, _ in clips])
    cut = len(reader.frames.shape) == 4  # pictures, not vectors of a trunk
    augmentations = len(augmentation_crops(config.evaluation.augmentations, 0, cut))
    sums = torch.zeros(augmentations, len(Features._fields), len(starts), FEATURE)
    for first in range(0, len(clips), CLIPS_AT_ONCE):
        rows = np.stack([rows for _, rows in clips[first : first + CLIPS_AT_ONCE]])
        crops = augmentation_crops(config.evaluation.augmentations, len(rows), cut)
        batch = clip_features(network, reader.read(rows), part, config.clips, crops)
        owner = owners[first : first + CLIPS_AT_ONCE]
        for augmented, features in zip(sums, batch, strict=True):
            augmented.index_add_(1, owner, torch.stack(features).cpu())
    means = sums / owners.bincount(minlength=len(starts))[:, None]
    return [Features(*augmented) for augmented in means]


class RunExtractor(Run):
    """A run that embeds pictures: by "parts" where all body parts are trained, else by its own.

    Pictures are packed, or turned into vectors by a trunk, as `prepare` does it; of test-time
    augmentations the mean is taken. Weights are read when they are first needed.
    """

    dimensions = FEATURE
    note = ""

    @cached_property
    def model_id(self) -> str:
        """The run's identity."""
        return self.identity

    @cached_property
    def _opened(self) -> tuple[FrameMaker, dict[BodyPart, SpatialTemporalFusion]]:
        maker, device = _frame_maker(self), best_device()
        return maker, {part: self.network(part).to(device) for part in self.facts.parts}

    def embed(self, tracklets: Iterable[Sequence[Picture]]) -> NDArray[np.float32]:
        """The run's final feature of tracklets, (M, 128).

        Args:
            tracklets: M of them, each RGB pictures (H, W, 3) uint8 of one person in time order.
        """
        frames_of, networks = self._opened
        features = [self._embed(frames_of(pictures), networks) for pictures in tracklets]
        return np.array(features, dtype=np.float32).reshape(-1, FEATURE)

    def _embed(
        self, frames: NDArray[np.generic], networks: Mapping[BodyPart, SpatialTemporalFusion]
    ) -> NDArray[np.float32]:
        reader = FrameReader(frames, best_device())
        span = np.array([0]), np.array([len(frames)])
        by_part = {
            part: tracklet_features(network, reader, *span, part, self.config)
            for part, network in networks.items()
        }
        augmentations = features_by_kind(self, by_part)[final_kind(self)]
        mean: NDArray[np.float32] = (
            torch.stack([augmented[0] for augmented in augmentations]).mean(dim=0).numpy()
        )
        return mean


def load(path: str | Path) -> RunExtractor:
    """Open a run folder, as `Run.open` does."""
    return RunExtractor.open(Path(path))


def _frame_maker(run: Run) -> FrameMaker:
    if run.facts.frame_shape == FRAME_SHAPE:
        return partial(pack_frames, flow=run.facts.flow)
    from reseen.data.frame_vectors import augmented  # loads ONNX

    trunk = open_trunk(run)
    count = 2 if run.facts.parts == ("full",) else trunk.augmentations
    return lambda pictures: np.stack(list(augmented(trunk, pictures, count)))


def open_trunk(run: Run) -> "FrameNetwork":
    """The network whose vectors a run was trained on.

    Raises:
        ReseenError: it is not here.
    """
    from reseen.data.frame_vectors import find_network  # loads ONNX

    try:
        return find_network(run.facts.trunk, run.facts.trunk_file)
    except ReseenError as error:
        raise ReseenError(f"{run.path} needs the trunk that it was trained on: {error}") from error
