"""A run and tracklets in, Embeddings of every feature kind out."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch

from reseen.data.clips import BodyPart, FrameReader, Integers
from reseen.data.embeddings import Embeddings
from reseen.data.store import FrameStore
from reseen.errors import ReseenError
from reseen.network.checkpoint import WEIGHTS_FILE, Run
from reseen.network.config import Config
from reseen.network.inference import tracklet_features
from reseen.network.model import Features, PartFusion, SpatialTemporalFusion
from reseen.progress import progress

FeatureViews = tuple[Embeddings, ...]
"""The same tracklets once for each test-time view."""

TRACKLETS_AT_ONCE = 64


def best_device() -> torch.device:
    """The accelerator where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def embed(
    run: Run, store: FrameStore, indices: Sequence[int], weights: str = WEIGHTS_FILE
) -> dict[str, FeatureViews]:
    """Features of some of a store's tracklets, of every kind that the run can give.

    Args:
        run: a finished run.
        store: where the tracklets lie.
        indices: which of its tracklets, M of them.
        weights: name of the networks' files; a snapshot's for a smaller budget.

    Returns:
        By kind: "spatial", "temporal" and "fused" of the whole body or of the only part trained;
        with all parts also "upper" and "lower", the feature that these were trained on, and
        "parts", eq. (10).

    Raises:
        ReseenError: weights are missing or do not fit.
    """
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
            Embeddings(view.numpy(), store.persons[chosen], store.cameras[chosen], names)
            for view in views
        )
        for kind, views in features_by_kind(run, by_part).items()
    }


def embed_all(run: Run, store: FrameStore, kind: str | None = None) -> Embeddings:
    """One feature for every tracklet of a store, the mean over the test-time views.

    Args:
        run: a finished run.
        store: where the tracklets lie.
        kind: which feature; by default the run's final one.

    Raises:
        ReseenError: the run has no such feature.
    """
    features = embed(run, store, range(len(store)))
    wanted = kind or final_kind(run)
    if wanted not in features:
        raise ReseenError(f"{run.path} has no feature {wanted!r}; it has {', '.join(features)}")
    views = features[wanted]
    mean = np.stack([view.features for view in views]).mean(axis=0)
    return replace(views[0], features=mean)


def final_kind(run: Run) -> str:
    """The feature that a run is meant to be used with."""
    everything = set(run.facts.parts) == set(PartFusion.PARTS)
    return "parts" if everything else run.config.loss.feature


def _part_features(
    network: SpatialTemporalFusion,
    part: BodyPart,
    config: Config,
    reader: FrameReader,
    starts: Integers,
    lengths: Integers,
) -> list[Features]:
    """Features of one body part's network, (M, 128) each, for each view."""
    blocks = []
    with progress(f"features {part}", len(starts), "tracklets") as advance:
        for first in range(0, len(starts), TRACKLETS_AT_ONCE):
            block = slice(first, first + TRACKLETS_AT_ONCE)
            blocks.append(
                tracklet_features(network, reader, starts[block], lengths[block], part, config)
            )
            advance(len(starts[block]))
    return [
        Features(*map(torch.cat, zip(*view, strict=True))) for view in zip(*blocks, strict=True)
    ]


def features_by_kind(
    run: Run, by_part: Mapping[BodyPart, list[Features]]
) -> dict[str, list[torch.Tensor]]:
    """Features of every kind that a run can give, from those of its body parts.

    Args:
        run: where the weights of eq. (10) are.
        by_part: features (M, 128) for each body part and view.

    Returns:
        (M, 128) by kind, for each view.
    """
    main = by_part.get("full") or next(iter(by_part.values()))
    kinds = {kind: [getattr(view, kind) for view in main] for kind in Features._fields}
    if set(by_part) == set(PartFusion.PARTS):
        trained = run.config.loss.feature
        parts = {
            part: [getattr(view, trained) for view in views] for part, views in by_part.items()
        }
        kinds |= {"upper": parts["upper"], "lower": parts["lower"]}
        fusion = run.part_fusion().requires_grad_(False)
        kinds["parts"] = [
            fusion(torch.stack(view))
            for view in zip(*(parts[part] for part in PartFusion.PARTS), strict=True)
        ]
    return kinds
