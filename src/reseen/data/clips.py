"""From a store to the network's input: pairs, clips, crops, mirrors, normalisation.

Drawing is a pure function of seed and step, so that a stopped training goes on with exactly the
clips it would have seen. Pixels are worked on where the network trains.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import zip_longest
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from reseen.data.clip_config import ClipConfig
from reseen.data.coding import COLOUR_SCALES, FLOW_STEPS, HEIGHT, WIDTH
from reseen.data.store import Frames, FrameStore
from reseen.errors import ReseenError

Integers = npt.NDArray[np.int64]
BodyPart = Literal["full", "upper", "lower"]

BODY_PARTS: dict[BodyPart, slice] = {
    "full": slice(0, HEIGHT),
    "upper": slice(0, HEIGHT // 2),
    "lower": slice(HEIGHT // 2, HEIGHT),
}
"""Rows of a stored frame that each body part keeps (section 2.7 leaves the line open: half)."""

CROP_HEIGHT, CROP_WIDTH = 56, 40
OFFSETS = range(1, 9)
"""Top and left edges of crops; the baseline never draws the edge at 0."""

MIDDLE = 4
HORIZONTAL_FLOW = 4
FLOW_CHANNELS = slice(3, 5)


@dataclass(frozen=True)
class Crops:
    """Where each clip is cut, and whether it is mirrored; one decision for all its frames.

    Attributes:
        top, left: (n,) int64, pixels from the stored frame's edge.
        mirrored: (n,) bool.
    """

    top: Integers
    left: Integers
    mirrored: npt.NDArray[np.bool_]

    def __getitem__(self, chosen: slice | Integers) -> "Crops":
        return Crops(self.top[chosen], self.left[chosen], self.mirrored[chosen])


@dataclass(frozen=True)
class ClipPlan:
    """The clips of one training step, before any pixel is read.

    Attributes:
        rows: rows of the store, (2, B, T) int64: each pair's first and second clip; (1, N, T)
            where every one of N clips pairs with every other.
        labels: 0-based training labels, (2, B) or (1, N) int64.
        crops: of all clips, all first clips before all second ones.
        places: where these clips stand among all the clips of the step, (2·B,) or (N,) int64.
    """

    rows: Integers
    labels: Integers
    crops: Crops
    places: Integers

    def share(self, rank: int, ranks: int) -> "ClipPlan":
        """The pairs, or clips, that process `rank` of `ranks` works on."""
        sides, count = self.labels.shape
        chosen = np.arange(count)[rank::ranks]
        clips = np.concatenate([chosen + side * count for side in range(sides)])
        return ClipPlan(self.rows[:, chosen], self.labels[:, chosen], self.crops[clips], clips)


class PairSampler:
    """Draws equal numbers of positive and negative pairs (sections 2.6 and 3.2).

    A positive pair shows one person in two cameras, a negative pair two people in random cameras.
    People take turns in a random order, so that all are seen equally often.

    Args:
        tracklets: indices of the training tracklets in the store.
        pairs: pairs a step, half of them positive; an odd one out alternates from step to step.
        frames: T.
        start: "chunk": clips start at multiples of T; "random": anywhere.
        seed: every number drawn follows from it and the step.
    """

    def __init__(
        self,
        store: FrameStore,
        tracklets: Sequence[int],
        pairs: int,
        frames: int,
        start: Literal["chunk", "random"],
        seed: int,
    ) -> None:
        self.store, self.pairs, self.seed = store, pairs, seed
        self.frames, self.start = frames, start
        self.people = sorted({int(store.persons[index]) for index in tracklets})
        if len(self.people) < 2:
            raise ReseenError(f"{store.path}: training needs two people or more, not {self.people}")
        labels = {person: label for label, person in enumerate(self.people)}
        by_camera: list[dict[int, list[int]]] = [defaultdict(list) for _ in self.people]
        for index in tracklets:
            by_camera[labels[int(store.persons[index])]][int(store.cameras[index])].append(index)
        self.by_camera = [[np.array(seen[camera]) for camera in sorted(seen)] for seen in by_camera]
        self.matchable = [label for label, seen in enumerate(self.by_camera) if len(seen) > 1]
        if not self.matchable:
            raise ReseenError(
                f"{store.path}: no training person is seen by two cameras, so there is no "
                "positive pair to learn from"
            )

    def draw(self, step: int) -> ClipPlan:
        """The pairs of a step (0 and up); the same for the same seed and step, anywhere."""
        random = np.random.default_rng([self.seed, step])
        positives = (self.pairs + step % 2) // 2
        turn = step * (self.pairs // 2) + step // 2 * (self.pairs % 2)
        chosen = [self._positive(random, turn + place) for place in range(positives)]
        chosen += [self._negative(random) for _ in range(self.pairs - positives)]
        tracklets = np.array([[pair[side][0] for pair in chosen] for side in (0, 1)])
        labels = np.array([[pair[side][1] for pair in chosen] for side in (0, 1)])
        rows = [[self._rows(random, index) for index in side] for side in tracklets]
        return ClipPlan(
            np.array(rows), labels, _random_crops(random, 2 * self.pairs), np.arange(2 * self.pairs)
        )

    def _positive(self, random: np.random.Generator, turn: int) -> list[tuple[int, int]]:
        order = _order(self.seed, turn // len(self.matchable), len(self.matchable))
        label = self.matchable[order[turn % len(self.matchable)]]
        cameras = random.permutation(len(self.by_camera[label]))[:2]
        return [(random.choice(self.by_camera[label][camera]), label) for camera in cameras]

    def _negative(self, random: np.random.Generator) -> list[tuple[int, int]]:
        labels = random.choice(len(self.people), size=2, replace=False)
        cameras = [
            self.by_camera[label][random.integers(len(self.by_camera[label]))] for label in labels
        ]
        return [(random.choice(seen), label) for seen, label in zip(cameras, labels, strict=True)]

    def _rows(self, random: np.random.Generator, tracklet: int) -> Integers:
        firsts = self.firsts(tracklet)
        return self.clip(tracklet, firsts[int(random.integers(len(firsts)))])

    def firsts(self, tracklet: int) -> range:
        """Where clips of a tracklet may start."""
        length = int(self.store.lengths[tracklet])
        if self.start == "chunk":
            return range(0, max(length // self.frames, 1) * self.frames, self.frames)
        return range(max(length - self.frames, 0) + 1)

    def clip(self, tracklet: int, first: int) -> Integers:
        """The store's rows of a tracklet's clip from its frame `first` on."""
        start, length = int(self.store.starts[tracklet]), int(self.store.lengths[tracklet])
        return clip_rows(start, length, first, self.frames)


class PeopleSampler(PairSampler):
    """Draws clips of several people, so that every clip of a step can pair with every other.

    Each person's clips are from two cameras at least, spread evenly over the person's cameras and
    all different. People take turns in a random order; where their number does not divide by that
    of a step, some sit a round out.

    Args:
        tracklets: indices of the training tracklets, of people who are seen by two cameras.
        people, clips: P people a step, K clips of each; the others are as in `PairSampler`.
    """

    def __init__(
        self,
        store: FrameStore,
        tracklets: Sequence[int],
        people: int,
        clips: int,
        frames: int,
        start: Literal["chunk", "random"],
        seed: int,
    ) -> None:
        super().__init__(store, tracklets, people * clips, frames, start, seed)
        self.people_a_step, self.clips = people, clips
        if people > len(self.people):
            raise ReseenError(
                f"{store.path}: a step of train.people = {people} needs as many training people, "
                f"there are {len(self.people)} in two cameras; set it to that or less"
            )
        for person, seen in zip(self.people, self.by_camera, strict=True):
            if len(seen) < 2:
                raise ReseenError(
                    f"{store.path}: person {person} is seen by one camera only; clips of two "
                    "cameras are needed of everybody"
                )
            there = sum(len(self.firsts(index)) for camera in seen for index in camera)
            if there < clips:
                raise ReseenError(
                    f"{store.path}: person {person} has {there} clips of {frames} frames, "
                    f"train.clips = {clips} asks for more; set it to {there} or less"
                )

    def draw(self, step: int) -> ClipPlan:
        """The clips of a step (0 and up); the same for the same seed and step, anywhere."""
        random = np.random.default_rng([self.seed, step])
        round_, turn = divmod(step, len(self.people) // self.people_a_step)
        order = _order(self.seed, round_, len(self.people))
        labels = order[turn * self.people_a_step :][: self.people_a_step].repeat(self.clips)
        rows = [
            self.clip(index, first)
            for label in labels[:: self.clips]
            for index, first in self._clips_of(random, label)
        ]
        count = len(labels)
        return ClipPlan(
            np.array([rows]), labels[None], _random_crops(random, count), np.arange(count)
        )

    def _clips_of(self, random: np.random.Generator, label: int) -> list[tuple[int, int]]:
        """K of a person's clips: tracklet and first frame, from each camera in turn."""
        cameras = [
            random.permutation([(index, first) for index in seen for first in self.firsts(index)])
            for seen in self.by_camera[label]
        ]
        turns = zip_longest(*(cameras[place] for place in random.permutation(len(cameras))))
        clips = [clip for turn in turns for clip in turn if clip is not None]
        return [(int(index), int(first)) for index, first in clips[: self.clips]]


def _random_crops(random: np.random.Generator, clips: int) -> Crops:
    return Crops(
        random.integers(OFFSETS.start, OFFSETS.stop, clips),
        random.integers(OFFSETS.start, OFFSETS.stop, clips),
        random.integers(0, 2, clips).astype(bool),
    )


@lru_cache(maxsize=4)
def _order(seed: int, round_: int, people: int) -> Integers:
    """Whose turn it is in one round of positive pairs."""
    return np.random.default_rng([seed, round_, people]).permutation(people)


def clip_rows(start: int, length: int, first: int, frames: int) -> Integers:
    """Rows (T,) of the store for a clip of T frames; a tracklet that is too short is looped.

    Args:
        start, length: the tracklet's first row and its number of frames.
        first: the clip's first frame, counted from the tracklet's first.
    """
    return start + (first + np.arange(frames)) % length


def tracklet_clips(
    start: int, length: int, frames: int, tail: Literal["drop", "loop"]
) -> list[Integers]:
    """All clips of a tracklet for scoring: groups of T frames (section 3.2).

    Frames left over after the last whole clip are dropped, or looped to a clip. A tracklet
    shorter than a clip is always looped.
    """
    whole = length // frames
    clips = [clip_rows(start, length, frames * clip, frames) for clip in range(whole)]
    rest = length - whole * frames
    if not clips or (tail == "loop" and rest):
        clips.append(clip_rows(start + whole * frames, rest, 0, frames))
    return clips


class FrameReader:
    """Reads clips out of stored frames to the device that works on them.

    Frames, N of any one shape, that take less than half of an accelerator's free memory are copied
    there once.
    """

    def __init__(self, frames: npt.NDArray[Any] | Frames, device: torch.device) -> None:
        self.frames, self.device = frames, device
        self._resident: Tensor | None = None
        if device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(device)
            if frames.nbytes < free // 2:
                self._resident = torch.from_numpy(np.array(frames)).to(device)

    def read(self, rows: Integers) -> Tensor:
        """Frames as stored: (..., T) rows -> (..., T, *frame shape)."""
        if self._resident is not None:
            return self._resident[torch.from_numpy(rows).to(self.device)]
        frames = torch.from_numpy(self.frames[rows])
        if self.device.type == "cuda":
            return frames.pin_memory().to(self.device, non_blocking=True)
        return frames.to(self.device)


def normalise(frames: Tensor, part: BodyPart, config: ClipConfig) -> Tensor:
    """Bring every channel of every frame to mean zero and a common spread (section 2.1).

    Args:
        frames: as stored, (..., 5, 64, 48) uint8; or vectors of a frozen trunk, (..., A, D).
        part: the body part to keep; halves are resized to the whole frame's size first.
        config: "unit" divides by the standard deviation, "root" by the root of it, as the baseline
            does. Divided by that root, flow is the stronger the smaller its unit is.

    Returns:
        (..., 5, 64, 48), torch's default float type. A channel without any contrast becomes zero.
        Vectors are left as they are: (..., 2, D), plain and mirrored, of the body part.
    """
    if frames.is_floating_point():
        place = 2 * list(BODY_PARTS).index(part)
        return frames[..., place : place + 2, :].to(torch.get_default_dtype())
    values = _body_part(frames, part)
    values.sub_(values.mean(dim=(-2, -1), keepdim=True))
    step = 1 / (FLOW_STEPS * config.flow_unit)
    scales = torch.tensor((*COLOUR_SCALES, step, step), device=frames.device)[:, None, None]
    # A norm of what is centred already takes a tenth of the time of torch.var.
    spread = torch.linalg.vector_norm(values, dim=(-2, -1), keepdim=True)
    deviation = spread / math.sqrt(HEIGHT * WIDTH - 1) * scales
    divisor = deviation.sqrt() if config.normalise == "root" else deviation
    factor = torch.where(deviation > 0, scales / divisor, 0)
    if not config.flow:
        factor[..., FLOW_CHANNELS, :, :] = 0
    return values.mul_(factor)


def _body_part(frames: Tensor, part: BodyPart) -> Tensor:
    kept = frames[..., BODY_PARTS[part], :].to(torch.get_default_dtype())
    if part == "full":
        return kept
    flat = kept.flatten(0, -4)  # (n, 5, 32, 48)
    resized = functional.interpolate(flat, (HEIGHT, WIDTH), mode="bilinear", align_corners=False)
    return resized.reshape(frames.shape)


def crop(clips: Tensor, crops: Crops, negate_mirrored_flow: bool) -> Tensor:
    """Cut and mirror each clip, then take away each frame's mean over all five channels.

    Args:
        clips: normalised, (n, T, 5, 64, 48); of vectors, (n, T, 2, D), mirrors are chosen only.
        crops: n decisions.
        negate_mirrored_flow: whether a mirror also turns the sign of the horizontal flow, as
            walking left becomes walking right.

    Returns:
        (n, T, 5, 56, 40) or (n, T, D).
    """
    if clips.ndim == 4:
        sides = torch.from_numpy(crops.mirrored.astype(np.int64)).to(clips.device)
        return clips[torch.arange(len(clips), device=clips.device), :, sides]
    shape = (*clips.shape[:2], CROP_HEIGHT, CROP_WIDTH, clips.shape[2])
    cut = _channels_last(clips.new_empty(shape))
    decisions = zip(crops.top.tolist(), crops.left.tolist(), crops.mirrored.tolist(), strict=True)
    for clip, piece, (top, left, mirrored) in zip(clips, cut, decisions, strict=True):
        kept = clip[..., top : top + CROP_HEIGHT, left : left + CROP_WIDTH]
        piece.copy_(kept.flip(-1) if mirrored else kept)
        if mirrored and negate_mirrored_flow:
            piece[:, HORIZONTAL_FLOW].neg_()
    return _without_mean(cut)


def middle_crop(clips: Tensor) -> Tensor:
    """The crop without augmentation: (n, T, 5, 64, 48) -> (n, T, 5, 56, 40)."""
    kept = slice(MIDDLE, MIDDLE + CROP_HEIGHT), slice(MIDDLE, MIDDLE + CROP_WIDTH)
    cut = clips[..., kept[0], kept[1]].movedim(-3, -1).clone(memory_format=torch.contiguous_format)
    return _without_mean(_channels_last(cut))


def _channels_last(cut: Tensor) -> Tensor:
    """(n, T, 56, 40, 5) as (n, T, 5, 56, 40), left where it lies in memory.

    Convolutions and poolings take two thirds of the time on it.
    """
    return cut.movedim(-1, 2)


def _without_mean(cut: Tensor) -> Tensor:
    """Take away, in place, each frame's mean over all five channels."""
    return cut.sub_(cut.mean(dim=(2, 3, 4), keepdim=True))


def augmentation_crops(count: Literal[1, 16], clips: int, cut: bool = True) -> list[Crops]:
    """The crops of each test-time augmentation: the middle one, or eight diagonal ones × mirror.

    Each is applied to all clips. Of stored vectors, which cannot be `cut`, 16 are the plain one
    and its mirror.
    """
    offsets = [MIDDLE] if count == 1 or not cut else list(OFFSETS)
    mirrors = [False] if count == 1 else [False, True]
    return [
        Crops(np.full(clips, offset), np.full(clips, offset), np.full(clips, mirrored))
        for mirrored in mirrors
        for offset in offsets
    ]
