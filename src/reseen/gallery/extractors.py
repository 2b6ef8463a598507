"""What turns tracklets into embeddings: a list of equals, of which one needs no training."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from reseen.data.colour_histogram import FRAMES, STRIPES, ColourHistogram
from reseen.data.frame_vectors import FrameNetwork, open_network
from reseen.data.pictures import Picture, evenly
from reseen.errors import ReseenError

Matrix = NDArray[np.float32]

LEAST_LENGTH = 1e-12


class Extractor(Protocol):
    """What turns tracklets into embeddings that can be compared by Euclidean distance."""

    @property
    def model_id(self) -> str:
        """The model's exact name: embeddings of two names never meet in one search."""
        ...

    @property
    def dimensions(self) -> int:
        """The length D of an embedding."""
        ...

    @property
    def note(self) -> str:
        """What a user should know about it, in a line; empty for nothing."""
        ...

    def embed(self, tracklets: Iterable[Sequence[Picture]]) -> Matrix:
        """Compute the embeddings (M, D) of M tracklets, each RGB pictures in time order."""


def open_extractor(name: str, style: str | None = None) -> Extractor:
    """Open an extractor by the name that the command line gives it.

    Args:
        name: "stripes", a run folder, or what `open_network` takes.
        style: how an ONNX file wants its crops, where that cannot be told.

    Raises:
        ReseenError: it is none of these.
    """
    if name == STRIPES:
        return ColourHistogram()
    if Path(name).is_dir():
        from reseen.network.embed import load  # loads torch

        run = load(name)
        run.embed([])  # a damaged run is said here, and is no picture's fault
        return run
    return NetworkExtractor(open_network(name, style))


class NetworkExtractor:
    """The mean over crops of what a network makes of each, of length 1."""

    def __init__(self, network: FrameNetwork) -> None:
        if not network.unit:
            raise ReseenError(f"{network.model_id} is there to fine-tune on, not to embed with")
        self.model_id, self.dimensions = network.model_id, network.dimensions
        self.note, self.vectors = network.note, network.vectors

    def embed(self, tracklets: Iterable[Sequence[Picture]]) -> Matrix:
        """Embeddings (M, D) from at most 16 pictures of each tracklet, evenly spaced.

        Batches go across tracklets, of which most have fewer pictures than a batch takes. All
        pictures weigh alike: weights by `thumbnail.quality`, its root or its square changed rank-1
        on 100 and 32 real people by 1 point up to 4 points down.
        """
        counts: list[int] = []

        def crops() -> Iterator[Picture]:
            for pictures in tracklets:
                chosen = evenly(pictures, FRAMES)
                counts.append(len(chosen))
                yield from chosen

        vectors = self.vectors(crops())
        sums = np.add.reduceat(vectors, np.cumsum([0, *counts[:-1]])) if counts else vectors
        unit: Matrix = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), LEAST_LENGTH)
        return unit
