"""Colour histograms of stripes: an extractor that needs no training and knows no people."""

from collections.abc import Iterable, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from reseen.data.pictures import Picture, evenly

Matrix = NDArray[np.float32]
Numbers = NDArray[np.floating[Any]]

STRIPES = "stripes"
"""Model id of the colour histogram, and what the command line calls it."""

STRIPE_COUNT, HUES, BRIGHTNESSES = 8, 8, 8
STRIPE_DIMENSIONS = STRIPE_COUNT * (HUES + BRIGHTNESSES)
FRAMES = 16
"""Pictures of a tracklet that are looked at, evenly spaced: more cost time and add little."""

HEIGHT, WIDTH = 128, 48
CENTRE_SPREAD = 0.2
SATURATION_GAIN = 2.0
DARKEST, BRIGHTEST = 2, 98


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
