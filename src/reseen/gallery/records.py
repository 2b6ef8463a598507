"""What goes into a gallery and what comes out of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which tracklets are meant; all of them, where nothing is set.

    Attributes:
        ids: only these.
        camera: only this camera.
        not_camera: every camera but this one.
        start, end: only tracklets of which a part lies in this time, in seconds. Tracklets of
            unknown time are left out as soon as one of the two is set; a date leaves out those of
            recordings without one, a time in a recording those with one.
    """

    ids: tuple[str, ...] = ()
    camera: str | None = None
    not_camera: str | None = None
    start: float | None = None
    end: float | None = None


EVERYTHING = Filter()


@dataclass(frozen=True, slots=True)
class Entry:
    """A tracklet as a gallery holds it.

    Attributes:
        id: unique in the gallery.
        model: what its feature was made by.
        camera: the view's name.
        start, end: when the person was seen, in seconds; None where unknown.
        source: the video or folder that it comes from.
        frames: how many pictures it has.
        added: when it was added, in seconds since 1970.
        keep_until: when it is to be forgotten, in seconds since 1970; None for no such date.
    """

    id: str
    model: str
    camera: str
    start: float | None
    end: float | None
    source: str
    frames: int
    added: float
    keep_until: float | None


@dataclass(frozen=True)
class Query:
    """Who is searched for.

    Attributes:
        model: what made the feature.
        feature: (D,) float32.
        stripes: (128,) float32, the training-free feature; None where there were no pictures.
        name: a tracklet's id in the gallery, which a search leaves out, or where the pictures
            come from.
    """

    model: str
    feature: Matrix
    stripes: Matrix | None
    name: str


@dataclass(frozen=True, slots=True)
class Match:
    """A tracklet found.

    Attributes:
        entry: the tracklet.
        distance: Euclidean, between the features.
        stripes_distance: the training-free descriptor's distance, 0 to 1.41, to hold beside the
            network's; None where one of the two has no stripes.
        chance: that this is the same person; None where the model has no calibration.
    """

    entry: Entry
    distance: float
    stripes_distance: float | None
    chance: float | None


@dataclass(frozen=True)
class Embedded:
    """M tracklets with their features, ready to be added.

    Attributes:
        ids, cameras, sources: (M,) texts.
        starts, ends: (M,) seconds or None.
        frames: (M,) numbers of pictures.
        features: (M, D) float32, finite.
        stripes: (M, 128) float32; None where there are no pictures.
        thumbnails: (M,) JPEG strips or None.
    """

    ids: Sequence[str]
    cameras: Sequence[str]
    sources: Sequence[str]
    starts: Sequence[float | None]
    ends: Sequence[float | None]
    frames: Sequence[int]
    features: Matrix
    stripes: Matrix | None = None
    thumbnails: Sequence[bytes | None] | None = None


@dataclass(frozen=True)
class Added:
    """What became of the tracklets given to a gallery.

    Attributes:
        added: how many are new.
        present: how many were there before.
        left_out: one line for each that could not be read.
    """

    added: int
    present: int
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class Stats:
    """What a gallery holds.

    Attributes:
        models: tracklets of each model.
        cameras: tracklets of each camera, every tracklet counted once for each model.
        start, end: when the first was and the last was seen, of those with a date where some have
            one; None where no time is known.
        undated: tracklets without a date, counted once for each model, where others have one.
        size: bytes on disk.
        retention_days: how long tracklets are kept; None for ever.
    """

    models: dict[str, int]
    cameras: dict[str, int]
    start: float | None
    end: float | None
    undated: int
    size: int
    retention_days: float | None
