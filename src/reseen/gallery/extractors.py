"""What turns tracklets into embeddings: a list of equals, of which one needs no training."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from reseen.data.embeddings import Embeddings
from reseen.data.frame_vectors import FrameNetwork, open_network
from reseen.data.pictures import Picture, Pictures, evenly
from reseen.data.tracklet import BenchmarkTracklet

Matrix = NDArray[np.float32]
Numbers = NDArray[np.floating[Any]]

STRIPES = "stripes"
"""Model id of the colour histogram, and what the command line calls it."""

STRIPE_COUNT, HUES, BRIGHTNESSES = 8, 8, 8
STRIPE_DIMENSIONS = STRIPE_COUNT * (HUES + BRIGHTNESSES)
FRAMES = 16
"""Pictures of a tracklet that are looked at, evenly spaced: more cost time and add little."""

LEAST_LENGTH = 1e-12
HEIGHT, WIDTH = 128, 48
CENTRE_SPREAD = 0.2
SATURATION_GAIN = 2.0
DARKEST, BRIGHTEST = 2, 98


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
        from reseen.network.checkpoint import Run
        from reseen.network.embed import RunExtractor  # loads torch

        return RunExtractor(Run.open(Path(name)))
    return NetworkExtractor(open_network(name, style))


class NetworkExtractor:
    """The mean over crops of what a network makes of each, of length 1.

    Args:
        network: the network.
    """

    def __init__(self, network: FrameNetwork) -> None:
        self.model_id, self.dimensions = network.model_id, network.dimensions
        self.note, self.vectors = network.note, network.vectors

    def embed(self, tracklets: Iterable[Sequence[Picture]]) -> Matrix:
        """Embeddings (M, D) from at most 16 pictures of each tracklet, evenly spaced.

        Batches go across tracklets, of which most have fewer pictures than a batch takes.
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


class ColourHistogram:
    """Colour histograms of horizontal stripes: needs no training and knows no people.

    Each picture is cut into 8 stripes from head to foot. In a stripe, colourful pixels count
    towards one of 8 hues and the others towards one of 8 brightnesses, softly and more so in
    the middle of the picture, where the person is. The light is evened out before: no colour
    cast on average (gray world) and full contrast. The feature is the square root of the mean
    histogram, so that Euclidean distance is Hellinger's, between 0 and the square root of 2.
    """

    model_id = STRIPES
    dimensions = STRIPE_DIMENSIONS
    note = ""

    def embed(self, tracklets: Iterable[Sequence[Picture]]) -> Matrix:
        """Features (M, 128) from at most 16 pictures of each tracklet, evenly spaced."""
        histograms = [
            np.mean(list(map(_histograms, evenly(pictures, FRAMES))), axis=0, dtype=np.float32)
            for pictures in tracklets
        ]
        return np.sqrt(np.array(histograms, dtype=np.float32).reshape(-1, STRIPE_DIMENSIONS))


def embed_benchmark(tracklets: Sequence[BenchmarkTracklet], extractor: Extractor) -> Embeddings:
    """Features of a data set's tracklets, to calibrate or score an extractor on."""
    features = extractor.embed(Pictures(tuple(one.paths)) for one in tracklets)
    persons = np.array([one.person for one in tracklets], dtype=np.int64)
    cameras = np.array([one.camera for one in tracklets], dtype=np.int64)
    return Embeddings(features, persons, cameras, tuple(one.name for one in tracklets))


def _histograms(picture: Picture) -> Numbers:
    """The stripes' histograms behind each other, (128,), with a sum of 1."""
    small = cv2.resize(picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    balanced = _without_cast(np.asarray(small, dtype=np.float32) / 255)
    hue, saturation, value = np.moveaxis(cv2.cvtColor(balanced, cv2.COLOR_RGB2HSV), 2, 0)
    colourful = np.minimum(SATURATION_GAIN * saturation, 1)
    across = (np.arange(WIDTH) + 0.5) / WIDTH - 0.5
    weights = np.broadcast_to(np.exp(-0.5 * (across / CENTRE_SPREAD) ** 2), hue.shape)
    hues = _soft_counts(hue / 360 * HUES, weights * colourful, HUES, circular=True)
    brightness = _full_contrast(value) * BRIGHTNESSES - 0.5
    gray = _soft_counts(brightness, weights * (1 - colourful), BRIGHTNESSES, circular=False)
    counts: Numbers = np.hstack([hues, gray]).ravel()
    return np.asarray(counts / weights.sum())


def _without_cast(picture: Numbers) -> Matrix:
    """Scale the channels so that the picture is gray on average."""
    means = picture.mean(axis=(0, 1))
    gains = means.mean() / np.maximum(means, 1 / 255)
    return np.asarray(np.clip(picture * gains, 0, 1), dtype=np.float32)


def _full_contrast(value: Numbers) -> Numbers:
    dark, bright = np.percentile(value, [DARKEST, BRIGHTEST])
    return np.asarray(np.clip((value - dark) / max(bright - dark, 0.05), 0, 1))


def _soft_counts(places: Numbers, weights: Numbers, bins: int, *, circular: bool) -> Numbers:
    """Share each pixel between the two bins next to its place: (stripes, bins)."""
    if not circular:
        places = np.clip(places, 0, bins - 1)
    lower = np.floor(places).astype(np.int64)
    upper_share = places - lower
    stripe = np.arange(HEIGHT)[:, None] * STRIPE_COUNT // HEIGHT * bins
    counts = np.zeros(STRIPE_COUNT * bins)
    for bin_, share in ((lower, 1 - upper_share), (lower + 1, upper_share)):
        inside = bin_ % bins if circular else np.minimum(bin_, bins - 1)
        counts += np.bincount((stripe + inside).ravel(), (weights * share).ravel(), len(counts))
    return counts.reshape(STRIPE_COUNT, bins)
