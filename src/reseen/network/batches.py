"""What each training step works on, read ahead of the step."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor

from reseen.data.clips import (
    BodyPart,
    ClipPlan,
    FrameReader,
    PairSampler,
    PeopleSampler,
    crop,
    normalise,
)
from reseen.data.store import FrameStore
from reseen.errors import ReseenError
from reseen.network.config import Config
from reseen.network.losses import draw_masks
from reseen.network.model import DropoutMasks, make_trunk


@dataclass(frozen=True)
class Job:
    """One network to train.

    Attributes:
        folder: where its weights and log go.
        part: the body part that it sees.
        tracklets: indices of the training tracklets in the store.
        seed: of its initial weights, pairs, crops and dropout.
    """

    folder: Path
    part: BodyPart
    tracklets: tuple[int, ...]
    seed: int


@dataclass(frozen=True)
class Batch:
    """What a learner's forward pass takes, on the device."""

    clips: Tensor
    labels: Tensor
    masks: DropoutMasks | None


class BatchSource:
    """Batches of all jobs in step; frames of the next one are read while one is worked on."""

    def __init__(
        self, fabric: Fabric, store: FrameStore, config: Config, jobs: Sequence[Job]
    ) -> None:
        self.fabric, self.config, self.jobs = fabric, config, jobs
        self.reader = FrameReader(store.frames, fabric.device)
        self.samplers = [make_sampler(fabric, store, config, job) for job in jobs]
        self.frame_shape = store.frame_shape
        self.width = make_trunk(config.network, store.frame_shape).width
        counts = {len(sampler.people) for sampler in self.samplers}
        if len(counts) > 1:
            raise ReseenError(f"networks of {sorted(counts)} people cannot be trained together")
        self.people = counts.pop()

    def batches(self, first: int, last: int) -> Iterator[Batch]:
        """The batches of steps `first` to `last` (not included)."""
        with ThreadPoolExecutor(max_workers=1) as background:
            waiting = deque([background.submit(self._read, first)] if first < last else [])
            for step in range(first, last):
                plans_and_frames = waiting.popleft().result()
                if step + 1 < last:
                    waiting.append(background.submit(self._read, step + 1))
                made = [
                    self._batch(step, job, plan, frames)
                    for job, (plan, frames) in zip(self.jobs, plans_and_frames, strict=True)
                ]
                yield made[0] if len(made) == 1 else _stacked(made)

    def _read(self, step: int) -> list[tuple[ClipPlan, Tensor]]:
        plans = [
            sampler.draw(step).share(self.fabric.global_rank, self.fabric.world_size)
            for sampler in self.samplers
        ]
        return [
            (plan, self.reader.read(plan.rows.reshape(-1, plan.rows.shape[-1]))) for plan in plans
        ]

    def _batch(self, step: int, job: Job, plan: ClipPlan, frames: Tensor) -> Batch:
        clips, device = self.config.clips, self.fabric.device
        values = normalise(frames, job.part, clips)
        return Batch(
            crop(values, plan.crops, clips.negate_mirrored_flow),
            torch.from_numpy(plan.labels).to(device),
            self._masks(step, job, plan),
        )

    def _masks(self, step: int, job: Job, plan: ClipPlan) -> DropoutMasks | None:
        """This process's share of the step's dropout, which is drawn for all processes."""
        seed = np.random.SeedSequence([job.seed, step]).generate_state(1, np.uint64)[0]
        generator = torch.Generator(self.fabric.device).manual_seed(int(seed >> np.uint64(1)))
        clips, frames = self.config.train.clips_a_step, self.config.clips.frames
        masks = draw_masks(self.config.network, clips, frames, self.width, generator)
        if masks is None or self.fabric.world_size == 1:
            return masks
        places = torch.from_numpy(plan.places).to(self.fabric.device)
        return _map_masks(lambda mask: mask[places], masks)


def make_sampler(fabric: Fabric, store: FrameStore, config: Config, job: Job) -> PairSampler:
    """What draws a job's clips.

    Raises:
        ReseenError: the training people are too few or have too few clips for such steps, or the
            processes cannot share a step evenly.
    """
    train, clips = config.train, config.clips
    shared = train.pairs if train.sampler == "pairs" else train.clips_a_step
    if shared % fabric.world_size:
        what = "train.pairs" if train.sampler == "pairs" else "train.people × train.clips"
        raise ReseenError(f"{what} = {shared} cannot be shared by {fabric.world_size} processes")
    cut = clips.frames, clips.start, job.seed
    if train.sampler == "pk":
        return PeopleSampler(store, job.tracklets, train.people, train.clips, *cut)
    return PairSampler(store, job.tracklets, train.pairs, *cut)


def _stacked(batches: Sequence[Batch]) -> Batch:
    masks = [batch.masks for batch in batches]
    return Batch(
        torch.stack([batch.clips for batch in batches]),
        torch.stack([batch.labels for batch in batches]),
        _map_masks(lambda *values: torch.stack(values), *masks),
    )


def _map_masks(function: Callable[..., Tensor], *masks: DropoutMasks | None) -> DropoutMasks | None:
    given = [mask for mask in masks if mask is not None]
    if not given:
        return None
    recurrent = [mask.recurrent for mask in given]
    return DropoutMasks(
        function(*(mask.flattened for mask in given)),
        None if recurrent[0] is None else function(*recurrent),
    )
