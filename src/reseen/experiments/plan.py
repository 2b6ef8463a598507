"""What `reproduce` trains: the paper's network, the baseline, and one change at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from reseen.data.clips import BodyPart
from reseen.data.store import FrameStore
from reseen.errors import ReseenError, nearest
from reseen.network.batches import make_sampler
from reseen.network.checkpoint import CHECKPOINT_FILE, RUN_FILE, WEIGHTS_FILE, Run
from reseen.network.config import Config
from reseen.network.model import PartFusion
from reseen.network.training import fit, job_of, make_fabric, plan_run, train_part
from reseen.parallel import report, unordered
from reseen.progress import Advance, progress

BUDGETS = (4, 2)
"""Also scored after a quarter and half of the updates: what a smaller budget would have given."""


@dataclass(frozen=True)
class Variant:
    """A network to compare.

    Attributes:
        label: how the report calls it.
        changes: settings that differ from the plan's.
        preset: the preset whose network, clips and loss it has; optimiser and budget stay the
            plan's.
        parts: body parts trained.
        frames_alone: whether a step sees single frames, as many as the plan's clips have.
        feature: what it is meant to be used with.
    """

    label: str
    changes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    preset: str = ""
    parts: tuple[BodyPart, ...] = ("full",)
    frames_alone: bool = False
    feature: str = "fused"

    def config(self, plan: Config) -> Config:
        """The settings of this variant under those of a plan."""
        changes = self.changes
        if self.preset:
            settings = asdict(Config.preset(self.preset))
            changes = {table: settings[table] for table in ("network", "clips", "loss")}
        if self.frames_alone:
            pairs = max(plan.train.clips_a_step * plan.clips.frames // 2, 1)
            train = {"sampler": "pairs", "pairs": pairs}
            changes = {**changes, "clips": {"frames": 1}, "train": train}
        return Config.from_mapping(changes, self.label, plan)


VARIANTS: dict[str, Variant] = {
    "paper": Variant("paper", parts=PartFusion.PARTS),
    "mclaughlin": Variant("McLaughlin et al. baseline", preset="mclaughlin", feature="temporal"),
    "tuned": Variant("the tuned preset", preset="tuned"),
    "ide": Variant(
        "IDE, identities of frames (Zheng et al. 2016)",
        {"loss": {"feature": "spatial", "siamese_weight": 0.0}},
        frames_alone=True,
        feature="spatial",
    ),
    "tanh": Variant("tanh for ReLU", {"network": {"activation": "tanh"}}),
    "no-dropout": Variant(
        "without dropout", {"network": {"dropout": 0.0, "recurrent_dropout": 0.0}}
    ),
    "tied": Variant("W_i tied to the identity", {"network": {"recurrent_input": "tied"}}),
    "hadsell": Variant("eq. 7 on the distance (Hadsell)", {"loss": {"siamese": "hadsell"}}),
    "hinge": Variant("eq. 7 as the baseline's hinge", {"loss": {"siamese": "hinge"}}),
    "unit": Variant("normalised by σ for √σ", {"clips": {"normalise": "unit"}}),
    "strong-flow": Variant("flow eight times as strong", {"clips": {"flow_unit": 4.0}}),
    "no-flow": Variant("without optical flow", {"clips": {"flow": False}}),
}


def known_variants(names: Sequence[str]) -> tuple[str, ...]:
    """The names, with the paper's own first."""
    for name in names:
        if name not in VARIANTS:
            raise ReseenError(f"there is no variant {name!r}{nearest(name, VARIANTS)}")
    return ("paper", *(name for name in VARIANTS if name in names and name != "paper"))


def plan_runs(
    store: FrameStore,
    out: Path,
    config: Config,
    trials: int,
    variants: Sequence[str],
    seed: int,
    parts: tuple[BodyPart, ...] = PartFusion.PARTS,
) -> dict[tuple[int, str], Run]:
    """Plan a run for every trial and variant, or find it again; `train_runs` makes the folders.

    Args:
        store, out, config, trials, variants, seed: as for `reproduce`.
        parts: body parts of the paper's network.

    All variants of a trial are trained on the same people: those whom the paper's networks see,
    without the ones held out for the parts' weights. Where parts are not asked for and the people
    too few to hold any out, they are all people.
    """
    store.split(trials - 1)  # also where there is to be none
    chosen = {name: VARIANTS[name] for name in variants}
    chosen["paper"] = replace(VARIANTS["paper"], parts=parts)
    return {
        (trial, name): _plan_run(
            store, out / f"trial_{trial}" / name, config, trial, chosen[name], seed, parts
        )
        for trial in range(trials)
        for name in variants
    }


def _plan_run(
    store: FrameStore,
    path: Path,
    plan: Config,
    trial: int,
    variant: Variant,
    seed: int,
    parts: tuple[BodyPart, ...],
) -> Run:
    config = variant.config(plan)
    try:
        everyone = plan_run(store, PartFusion.PARTS, trial, seed, config)
    except ReseenError:
        if parts == PartFusion.PARTS:
            raise
        everyone = plan_run(store, parts, trial, seed, config)
    facts = replace(everyone, parts=variant.parts)
    if len(variant.parts) == 1 and config.train.keep == "last":
        facts = replace(facts, held_out=())
    planned = Run(path, config, facts)
    # Refuses steps that cannot be drawn before anything is written.
    make_sampler(make_fabric(), store, config, job_of(planned, store, variant.parts[0]))
    if not (path / RUN_FILE).exists():
        return planned
    run = Run.open(path)
    if (run.config, run.facts) != (config, facts):
        raise ReseenError(f"{path} holds a run of other settings or data; choose another --out")
    return run


def snapshots(config: Config) -> tuple[int, ...]:
    """Updates after which a smaller budget is scored; none where the budget is one update."""
    return tuple(
        config.train.updates // share for share in BUDGETS if config.train.updates >= share
    )


def train_runs(store: FrameStore, runs: Mapping[tuple[int, str], Run], out: Path) -> None:
    """Make a plan's run folders, and train every network that is not trained yet.

    On an accelerator the networks of one variant are stacked and trained together; on the CPU
    they are trained one by one, as many at a time as there are cores.
    """
    for run in runs.values():
        if not (run.path / RUN_FILE).exists():
            Run.create(run.path, run.config, run.facts)
    networks = [(run, part) for run in runs.values() for part in run.facts.parts]
    total = sum(run.config.train.updates for run, _ in networks)
    with progress(f"training {len(networks)} networks", total, "updates") as advance:
        if torch.cuda.is_available():
            _train_stacked(store, runs, out, advance)
        else:
            tasks = [(store.path, run, part) for run, part in networks]
            for _ in unordered(_train_alone, tasks, advance=advance):
                pass


def _train_alone(store: Path, run: Run, part: BodyPart) -> None:
    """One network in a process of its own, on one core."""
    torch.set_num_threads(1)
    train_part(
        make_fabric(),
        FrameStore(store),
        run,
        part,
        report,
        snapshots=snapshots(run.config) if part == "full" else (),
    )


def _train_stacked(
    store: FrameStore, runs: Mapping[tuple[int, str], Run], out: Path, advance: Advance
) -> None:
    fabric = make_fabric()
    for name in sorted({name for _, name in runs}):
        chosen = [run for (_, variant), run in runs.items() if variant == name]
        jobs = [(run, part) for run in chosen for part in run.facts.parts]
        config = chosen[0].config

        def together(updates: int, networks: int = len(jobs)) -> None:
            advance(updates * networks)

        if all((run.path / part / WEIGHTS_FILE).exists() for run, part in jobs):
            together(config.train.updates)
            continue
        fit(
            fabric,
            store,
            config,
            [job_of(run, store, part) for run, part in jobs],
            out / f"{name}-{CHECKPOINT_FILE}",
            together,
            snapshots=snapshots(config),
        )
