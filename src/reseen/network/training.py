"""Training: `train` sets a run up, `fit` loops over `_step`, nothing else."""

import math
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from types import FrameType
from typing import Any, Literal

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import Tensor

from reseen.data.clips import BodyPart
from reseen.data.store import FrameStore
from reseen.data.tracklet import DISTRACTOR
from reseen.errors import ReseenError
from reseen.files import locked
from reseen.models.lite0 import MAPS_NAME
from reseen.network.batches import Batch, BatchSource, Job, make_sampler
from reseen.network.checkpoint import (
    CHECKPOINT_FILE,
    PARTS_FILE,
    RUN_FILE,
    WEIGHTS_FILE,
    Run,
    RunFacts,
    snapshot_file,
    versions,
    write_tensors,
)
from reseen.network.config import Config, OptimiserConfig
from reseen.network.embed import RunExtractor, load
from reseen.network.held_out import candidates, keep_best, learn_part_fusion
from reseen.network.lda_start import lda_start
from reseen.network.losses import Learner, LearnerStack, LossTerms
from reseen.network.model import PartFusion
from reseen.network.model_card import keep_model_card
from reseen.network.state import UPDATES_BETWEEN_LOGS, LossLog, TrainingState
from reseen.parallel import keep_freed_memory
from reseen.progress import Advance, log, progress

SECONDS_BETWEEN_CHECKPOINTS = 60.0

MOST_KEPT = 1 << 30
"""Bytes that a step frees and the next one needs, at most."""

Precision = Literal["32-true", "bf16-mixed"]


def train(
    store: FrameStore,
    out: str | Path,
    config: Config,
    parts: tuple[BodyPart, ...] = ("full",),
    *,
    trial: int = 0,
    seed: int = 0,
    resume: bool = False,
    precision: Precision = "32-true",
) -> RunExtractor:
    """Train one network for each body part; with all three, the weights of eq. (10) as well.

    Started by `torchrun`, its processes share every step.

    Args:
        store: the frames and splits.
        out: the run folder to make, or to go on with.
        trial: which of the store's splits.
        seed: every random number follows from it.
        resume: go on with the run in `out`, if there is one.
        precision: of the forward and backward pass.

    Raises:
        ReseenError: the split cannot be trained on, with nothing written yet; `out` holds another
            run, the loss stopped being finite.
        KeyboardInterrupt: after Ctrl-C, with the current step finished and saved.
    """
    out, fabric = Path(out), make_fabric(precision)
    facts = plan_run(store, parts, trial, seed, config)
    # Refuses steps that cannot be drawn before anything is written.
    make_sampler(fabric, store, config, job_of(Run(out, config, facts), store, parts[0]))
    # One process for all that share the steps.
    with locked(out) if fabric.is_global_zero else nullcontext():
        run = _open_run(fabric, out, config, facts, resume)
        for part in parts:
            with progress(f"training {part}", config.train.updates, "updates") as advance:
                train_part(fabric, store, run, part, advance)
        if len(parts) > 1 and not (out / PARTS_FILE).exists() and fabric.is_global_zero:
            run.save_part_fusion(learn_part_fusion(run, store, fabric.device))
        if fabric.is_global_zero:
            keep_model_card(run, out)
        fabric.barrier()  # what the others say of the run is true when all of it is written
    return run


def train_part(
    fabric: Fabric,
    store: FrameStore,
    run: Run,
    part: BodyPart,
    advance: Advance,
    snapshots: Sequence[int] = (),
) -> None:
    """Train one network of a run, unless it is trained already; arguments as for `fit`."""
    if (run.path / part / WEIGHTS_FILE).exists():
        advance(run.config.train.updates)
        return
    checkpoint = run.path / part / CHECKPOINT_FILE
    jobs = [job_of(run, store, part)]
    choices = candidates(run.config)
    last = snapshot_file(run.config.train.updates) if choices else WEIGHTS_FILE
    kept = (*snapshots, *choices)
    fit(fabric, store, run.config, jobs, checkpoint, advance, snapshots=kept, last=last)
    if choices and fabric.is_global_zero:
        best = keep_best(run, store, part)
        log.info(f"{part}: of {len(choices)} weights those after {best} updates find most")
    fabric.barrier()


def job_of(run: Run, store: FrameStore, part: BodyPart) -> Job:
    """What `fit` needs to know of one network of a run."""
    facts = run.facts
    seed = part_seed(facts.seed, facts.trial, part)
    return Job(run.path / part, part, run.tracklets(store, facts.people), seed)


def make_fabric(precision: Precision = "32-true") -> Fabric:
    """The device, and the other processes where `torchrun` started several."""
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    devices = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    fabric = Fabric(
        devices=devices,
        num_nodes=processes // devices,
        strategy=DDPStrategy() if processes > 1 else "auto",
        precision=precision,
    )
    fabric.launch()
    return fabric


def plan_run(
    store: FrameStore, parts: tuple[BodyPart, ...], trial: int, seed: int, config: Config
) -> RunFacts:
    """Choose the people to train on and, where all parts are trained, those held out.

    Raises:
        ReseenError: the store has no such trial, or too few people for it, or not the frames.
    """
    if store.trunk == MAPS_NAME:
        raise ReseenError(f"{store.path} holds maps to fine-tune on: reseen finetune {store.path}")
    if config.train.initial == "lda" and len(store.frame_shape) != 2:
        raise ReseenError(
            f"{store.path} holds pictures; train.initial = lda starts from a trunk's vectors: "
            "reseen prepare … --trunk lite0"
        )
    kept = store.frame_shape[0] // 2 if len(store.frame_shape) == 2 else len(PartFusion.PARTS)
    for part in parts:
        if part not in PartFusion.PARTS[:kept]:
            raise ReseenError(
                f"{store.path} holds no vectors of the {part} body: train --part full"
            )
    cameras: dict[int, set[int]] = {}
    for index in store.split(trial).train:
        if store.persons[index] > DISTRACTOR:
            cameras.setdefault(int(store.persons[index]), set()).add(int(store.cameras[index]))
    held_out: set[int] = set()
    if config.train.sampler == "pk":  # whoever one camera alone has seen has no positive pair
        cameras = {person: seen for person, seen in cameras.items() if len(seen) > 1}
    everything = set(parts) == set(PartFusion.PARTS)
    if everything or config.train.keep == "best":
        matchable = sorted(person for person, seen in cameras.items() if len(seen) > 1)
        count = max(2, round(config.train.held_out * len(matchable)))
        if len(matchable) < count + 2:
            raise ReseenError(
                f"{store.path} has {len(matchable)} training people in two cameras; "
                f"{'training all parts' if everything else 'train.keep = best'} needs "
                f"{count + 2}, of whom {count} choose the weights"
            )
        order = np.random.default_rng([seed, trial]).permutation(len(matchable))
        held_out = {matchable[place] for place in order[:count]}
    return RunFacts(
        dataset=store.dataset,
        store=store.fingerprint,
        flow=store.flow,
        frame_shape=store.frame_shape,
        trial=trial,
        seed=seed,
        parts=parts,
        people=tuple(sorted(set(cameras) - held_out)),
        held_out=tuple(sorted(held_out)),
        versions=versions(),
        trunk=store.trunk,
        trunk_file=store.trunk_file,
    )


def part_seed(seed: int, trial: int, part: BodyPart) -> int:
    """A seed of its own for every network of a plan."""
    sequence = np.random.SeedSequence([seed, trial, PartFusion.PARTS.index(part)])
    return int(sequence.generate_state(1)[0])


def _open_run(
    fabric: Fabric, out: Path, config: Config, facts: RunFacts, resume: bool
) -> RunExtractor:
    """Make the run folder in one process, or check that the one there is the same run."""
    begun = (out / RUN_FILE).exists()
    fabric.barrier()
    if not (resume and begun):
        if fabric.is_global_zero:
            Run.create(out, config, facts)
        fabric.barrier()
        return RunExtractor(out, config, facts)
    run = load(out)
    fabric.barrier()  # nobody changes it before all have read it
    settings = _settings(config, facts)
    longer = config.train.updates > run.config.train.updates and not config.optimiser.fall
    for name, before in _settings(run.config, run.facts).items():
        if before != settings[name] and not (longer and name == "train.updates"):
            raise ReseenError(f"cannot resume {out}: its {name} is {before}, now {settings[name]}")
    if longer:
        run = _longer(fabric, run, config)
    return run


def _longer(fabric: Fabric, run: RunExtractor, config: Config) -> RunExtractor:
    """The run with more updates to go: networks that were finished go on from their checkpoints."""
    run = replace(run, config=config)
    if fabric.is_global_zero:
        finished = (run.path / part / WEIGHTS_FILE for part in run.facts.parts)
        for file in (run.path / PARTS_FILE, *finished):
            file.unlink(missing_ok=True)
        run.write_config()
    fabric.barrier()
    return run


def _settings(config: Config, facts: RunFacts) -> dict[str, Any]:
    """What makes two trainings the same, by name."""
    values = {
        f"{table}.{name}": value
        for table, group in asdict(config).items()
        for name, value in group.items()
    }
    names = ("dataset", "store", "trial", "seed", "parts")
    return values | {name: getattr(facts, name) for name in names}


def fit(
    fabric: Fabric,
    store: FrameStore,
    config: Config,
    jobs: Sequence[Job],
    checkpoint: Path,
    advance: Advance,
    *,
    snapshots: Sequence[int] = (),
    last: str = WEIGHTS_FILE,
    seconds_between_checkpoints: float = SECONDS_BETWEEN_CHECKPOINTS,
) -> None:
    """Train networks, all in one loop, and write the weights of each into its folder.

    Several jobs are stacked and computed together, with the results that each would have had
    alone, to rounding. They must have equal numbers of people.

    Args:
        fabric: device, precision, processes.
        checkpoint: where to save now and then; if it exists, the training goes on from it.
        advance: called with the number of updates done.
        snapshots: updates after which the weights are kept in files of their own: what a smaller
            budget would have given.
        last: name of the file for the last weights.
        seconds_between_checkpoints: how often to save.
    """
    keep_freed_memory(MOST_KEPT)
    source = BatchSource(fabric, store, config, jobs)
    learner = make_learner(config, source.people, jobs, store)
    optimiser = make_optimiser(learner, config.optimiser)
    module, fabric_optimiser = fabric.setup(learner, optimiser)
    state = TrainingState(learner, optimiser, checkpoint)
    done = state.restore()
    losses = LossLog(fabric, jobs, checkpoint, done)
    clock = _Clock(seconds_between_checkpoints)

    def save(updates: int) -> None:
        losses.flush()
        if fabric.is_global_zero:
            state.save(updates)

    if 0 in snapshots and not done:
        _write_weights(fabric, learner, jobs, snapshot_file(0))
    advance(done)
    with _interrupts_wait() as interrupted:
        for update, batch in enumerate(source.batches(done, config.train.updates), done + 1):
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(config, update)
            losses.add(_step(fabric, module, fabric_optimiser, batch, config.optimiser.clamp))
            advance(1)
            if update in snapshots:
                _write_weights(fabric, learner, jobs, snapshot_file(update))
            stop, due = _agreed(fabric, update, interrupted, clock.is_due)
            if stop or due:
                save(update)
            if stop:
                raise KeyboardInterrupt(f"Update {update} is finished and saved.")
    save(config.train.updates)
    _write_weights(fabric, learner, jobs, last)
    fabric.barrier()


class _Clock:
    """Says now and then that it is time."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.last = seconds, time.monotonic()

    def is_due(self) -> bool:
        now = time.monotonic()
        due = now - self.last >= self.seconds
        self.last = now if due else self.last
        return due


def _agreed(fabric: Fabric, update: int, *questions: Callable[[], bool]) -> list[bool]:
    """Which questions any of the processes says yes to.

    Processes save and stop together, so all must do it after the same update. Each answer waits
    for the slowest of them, so several ask one another only now and then.
    """
    if fabric.world_size == 1:
        return [question() for question in questions]
    if update % UPDATES_BETWEEN_LOGS:
        return [False for _ in questions]
    own = torch.tensor([float(question()) for question in questions], device=fabric.device)
    answers = torch.as_tensor(fabric.all_reduce(own, reduce_op="sum"))
    return [answer > 0 for answer in answers.tolist()]


def _write_weights(
    fabric: Fabric, learner: Learner | LearnerStack, jobs: Sequence[Job], name: str
) -> None:
    if fabric.is_global_zero:
        for place, job in enumerate(jobs):
            write_tensors(job.folder / name, weights_of(learner, place), {})


def _step(fabric: Fabric, module: Any, optimiser: Any, batch: Batch, clamp: float) -> LossTerms:
    """One update: forward, backward, clamp, move."""
    optimiser.zero_grad()
    terms: LossTerms = module(batch.clips, batch.labels, batch.masks)
    fabric.backward(terms.total.sum())
    fabric.clip_gradients(module, optimiser, clip_val=clamp)
    optimiser.step()
    return terms


def make_learner(
    config: Config, people: int, jobs: Sequence[Job], store: FrameStore
) -> Learner | LearnerStack:
    """A learner with its initial weights, or a stack of them."""
    learners = [Learner(config, people, job.seed, store.frame_shape) for job in jobs]
    if config.train.initial == "lda":
        for learner, job in zip(learners, jobs, strict=True):
            start = lda_start(store, job.tracklets, job.part, config.loss.margin)
            learner.network.start_from(*start)
    return learners[0] if len(learners) == 1 else LearnerStack(learners)


def make_optimiser(learner: torch.nn.Module, config: OptimiserConfig) -> torch.optim.Optimizer:
    """SGD with dampening, or Adam, over all trainable parameters."""
    parameters = [value for value in learner.parameters() if value.requires_grad]
    if config.name == "adam":
        return torch.optim.Adam(parameters, config.learning_rate)
    return torch.optim.SGD(
        parameters, config.learning_rate, config.momentum, dampening=config.dampening
    )


def learning_rate(config: Config, update: int) -> float:
    """Of an update, counted from 1: falls along half a cosine in the last share of them."""
    falling = config.optimiser.fall * config.train.updates
    left = config.train.updates - update + 1
    share = (1 - math.cos(math.pi * left / falling)) / 2 if left < falling else 1.0
    return config.optimiser.learning_rate * share


def weights_of(learner: Learner | LearnerStack, place: int) -> dict[str, Tensor]:
    """Weights of one learner of a stack, by name."""
    if isinstance(learner, Learner):
        return dict(learner.named_parameters())
    return {name: value[place] for name, value in zip(learner.names, learner.stacked, strict=True)}


@contextmanager
def _interrupts_wait() -> Iterator[Callable[[], bool]]:
    """Let the first Ctrl-C wait for the end of a step; the second one is not held back."""
    received = False
    before = signal.getsignal(signal.SIGINT)

    def note(_number: int, _frame: FrameType | None) -> None:
        nonlocal received
        received = True
        signal.signal(signal.SIGINT, before)

    try:
        signal.signal(signal.SIGINT, note)
    except ValueError:  # not the main thread: signals are somebody else's matter
        yield lambda: False
        return
    try:
        yield lambda: received
    finally:
        signal.signal(signal.SIGINT, before)
