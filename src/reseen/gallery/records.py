"""What goes into a gallery and what comes out of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from reseen.data.tracklet import Moment

Matrix = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which tracklets are meant; all of them, where nothing is set.

    Attributes:
        ids: only these.
        not_camera: every camera but this one.
        start, end: only tracklets of which a part lies in this time, in seconds. Tracklets of
            unknown time are left out as soon as one of the two is set; a date leaves out those of
            recordings without one, a time in a recording those with one.
        not_ids: all but these.
    """

    ids: tuple[str, ...] = ()
    camera: str | None = None
    not_camera: str | None = None
    start: float | None = None
    end: float | None = None
    not_ids: tuple[str, ...] = ()


EVERYTHING = Filter()


@dataclass(frozen=True, slots=True)
class Entry:
    """A tracklet as a gallery holds it.

    Attributes:
        id: unique in the gallery.
        start, end: when the person was seen, in seconds; None where unknown.
        source: the video or folder that it comes from.
        crops: the folder in which its crops lay when it was added; None where there were none.
        frames: how many crops it has.
        added: when it was added, in seconds since 1970.
        keep_until: when it is to be forgotten, in seconds since 1970; None for no such date.
    """

    id: str
    camera: str
    start: float | None
    end: float | None
    source: str
    crops: str | None
    frames: int
    added: float
    keep_until: float | None


@dataclass(frozen=True)
class Query:
    """Who is searched for.

    Attributes:
        model: id of the extractor whose embeddings are compared.
        embedding: (D,) float32.
        name: a tracklet's id in the gallery, which a search leaves out, or where the pictures
            come from.
        beside: (D,) embeddings by other extractors, whose distances are told beside.
        known: whether the name is a tracklet's id, which the log must not hold.
    """

    model: str
    embedding: Matrix
    name: str
    beside: Mapping[str, Matrix] = field(default_factory=dict)
    known: bool = False


@dataclass(frozen=True, slots=True)
class Match:
    """A tracklet found.

    Attributes:
        distance: Euclidean, between the embeddings.
        beside: distances by other extractors, for those that both the query and it have: the
            colour histogram's shows what a network adds to colours alone.
        probability: that this is the same person; None where the model has no calibration.
    """

    entry: Entry
    distance: float
    beside: dict[str, float]
    probability: float | None


@dataclass(frozen=True)
class NewTracklets:
    """M tracklets, ready to be added.

    Attributes:
        ids, cameras, sources: (M,) texts.
        starts, ends: (M,) seconds or None.
        frames: (M,) numbers of crops.
        thumbnails: (M,) JPEG strips; None where there are no pictures.
        crops: (M,) folders of the crops; None where there are none on disk.
        digests: (M,) what the crops' content comes down to; None where there are none.
        moments: (M,) where they were in their recordings; None where that is not known.
    """

    ids: Sequence[str]
    cameras: Sequence[str]
    sources: Sequence[str]
    starts: Sequence[float | None]
    ends: Sequence[float | None]
    frames: Sequence[int]
    thumbnails: Sequence[bytes] | None = None
    crops: Sequence[str | None] | None = None
    digests: Sequence[str] | None = None
    moments: Sequence[tuple[Moment, ...]] | None = None


@dataclass(frozen=True)
class Added:
    """What became of the tracklets given to a gallery.

    Attributes:
        added: how many are new.
        present: how many were there before.
        forgotten: how many were forgotten before, and for that reason not taken in again.
        left_out: one line for each that could not be read.
        renamed: new ids of those whose own was another tracklet's, by that.
    """

    added: int
    present: int
    forgotten: int
    left_out: tuple[str, ...]
    renamed: dict[str, str]


@dataclass(frozen=True)
class Waiting:
    """Tracklets that are forgotten and whose bytes are still to be wiped from the disk.

    Attributes:
        since: when the first of them was forgotten, in seconds since 1970.
    """

    tracklets: int
    since: float


@dataclass(frozen=True)
class Stats:
    """What a gallery holds.

    Attributes:
        models: tracklets that have an embedding, by model.
        cameras: tracklets of each camera.
        start, end: when the first was and the last was seen, by date where any has one; None
            where no time is known.
        undated: tracklets without a date, where others have one.
        rejected: tracklets that no search finds, because a human said they show no person.
        size: bytes on disk.
        retention_days: how long tracklets are kept; None for ever.
        calibrated: models whose matches have probabilities.
        waiting: what is forgotten but not wiped from the disk yet; None for nothing.
    """

    tracklets: int
    models: dict[str, int]
    cameras: dict[str, int]
    start: float | None
    end: float | None
    undated: int
    rejected: int
    size: int
    retention_days: float | None
    calibrated: tuple[str, ...]
    waiting: Waiting | None
