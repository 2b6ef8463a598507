"""How soon each network learns: rank 1 and mAP against clips seen and processor time.

Run as `python benchmarks/bench_learning.py STORE OUT --clips 64000 --methods tuned-pk …`. STORE is
what `reseen prepare` made. Networks of the whole body are trained on the training people of a
trial, every method by Adam with as many clips a step, and scored on its test people after 1,000
clips, 1,400, 2,000, … A run that is there already goes on to `--clips`; one under way in another
process is scored as far as it has come (`--score` trains nothing). Writes `learning.json` and
`learning.png`, and prints each method's difference to its own temporal feature and to the
baseline's, paired by query.
"""

import argparse
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from reseen.data.embeddings import Embeddings
from reseen.data.store import FrameStore
from reseen.evaluation.intervals import (
    effective_queries,
    half_t_interval,
    t_interval,
    wilson_interval,
)
from reseen.evaluation.metrics import Scores
from reseen.evaluation.protocol import score_by_protocol
from reseen.experiments.plan import VARIANTS
from reseen.files import read_json, write_json
from reseen.network.checkpoint import RUN_FILE, WEIGHTS_FILE, Run, snapshot_file
from reseen.network.config import Config
from reseen.network.embed import embed
from reseen.network.model import PartFusion
from reseen.network.training import make_fabric, plan_run, train_part
from reseen.report.plots import FOUND, Learning, learning_figure, save

FIRST = 1_000
TIMES_FILE = "times.json"


@dataclass(frozen=True)
class Method:
    """A network and what its steps see; the feature that it is meant to be used with."""

    preset: str
    sampler: str
    negatives: str = "all"
    feature: str = "fused"
    variant: str = "paper"
    """Which of `reproduce`'s variants is changed in it."""


METHODS = {
    "paper-pairs": Method("quick", "pairs"),
    "paper-pk": Method("quick", "pk"),
    "mclaughlin-pairs": Method("mclaughlin", "pairs", feature="temporal"),
    "mclaughlin-pk": Method("mclaughlin", "pk", feature="temporal"),
    "tuned-pairs": Method("tuned", "pairs"),
    "tuned-pk": Method("tuned", "pk"),
    "tuned-pk-hardest": Method("tuned", "pk", "hardest"),
    "paper-pk-hardest": Method("quick", "pk", "hardest"),
    "mclaughlin-pk-hardest": Method("mclaughlin", "pk", "hardest", "temporal"),
    "tuned-pk-tied": Method("tuned", "pk", variant="tied"),
    "tuned-pk-no-dropout": Method("tuned", "pk", variant="no-dropout"),
    "tuned-pk-strong-flow": Method("tuned", "pk", variant="strong-flow"),
    "tuned-pk-no-flow": Method("tuned", "pk", variant="no-flow"),
}
BASELINE = "mclaughlin-pk"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--clips", type=int, default=16_000, help="clips that each network sees")
    parser.add_argument("--people", type=int, default=8)
    parser.add_argument("--clips-each", type=int, default=4, help="of each person in a step")
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--augmentations", type=int, choices=[1, 16], default=1)
    parser.add_argument("--length", choices=LENGTHS, default="own", help="of the features")
    parser.add_argument("--repeats", type=int, default=1, help="trials, or seeds of one split")
    parser.add_argument("--hold-out", action="store_true", help="train on those of all parts")
    parser.add_argument("--score", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    store = FrameStore(arguments.store)
    points = []
    for repeat in range(arguments.repeats):
        for name in arguments.methods:
            path = arguments.out / f"{name}-{repeat}"
            if not arguments.score:
                learn(store, path, settings(METHODS[name], arguments), repeat, arguments.hold_out)
            if (path / RUN_FILE).exists():
                points += curve(store, path, name, arguments.length)
    differences = [row for name in arguments.methods for row in compare(points, name)]
    write_json(arguments.out / "learning.json", {"points": points, "differences": differences})
    save(learning_figure(panels(points)), arguments.out / "learning.png")


def settings(method: Method, arguments: argparse.Namespace) -> Config:
    """A method's network, clips and loss, under the budget that all share."""
    a_step = arguments.people * arguments.clips_each
    preset = VARIANTS[method.variant].config(Config.preset(method.preset))
    return replace(
        preset,
        clips=replace(preset.clips, frames=arguments.frames),
        loss=replace(preset.loss, negatives=method.negatives),
        optimiser=replace(preset.optimiser, name="adam", learning_rate=arguments.rate),
        train=replace(
            preset.train,
            updates=arguments.clips // a_step,
            sampler=method.sampler,
            pairs=a_step // 2,
            people=arguments.people,
            clips=arguments.clips_each,
        ),
        evaluation=replace(preset.evaluation, augmentations=arguments.augmentations),
    )


def moments(config: Config) -> list[int]:
    """Updates after which a network is scored: 1,000 clips, a root of two times as many, …"""
    each, last = config.train.clips_a_step, config.train.updates
    doublings = np.arange(0, np.log2(max(last * each / FIRST, 1)), 0.5)
    return sorted({round(FIRST * 2**doubling / each) for doubling in doublings} | {last})


def learn(store: FrameStore, path: Path, config: Config, repeat: int, hold_out: bool) -> None:
    """Train a run, or go on with it, noting its processor seconds at each moment."""
    parts = PartFusion.PARTS if hold_out else PartFusion.PARTS[:1]
    trial = repeat % len(store.splits)
    if not (path / RUN_FILE).exists():
        facts = plan_run(store, parts, trial, repeat, config)
        run = Run.create(path, config, replace(facts, parts=("full",), held_out=()))
    elif (run := Run.open(path)).config.train.updates < config.train.updates:
        run = replace(run, config=config)
        run.write_config()
        (path / "full" / WEIGHTS_FILE).unlink(missing_ok=True)
    wanted = moments(run.config)
    times = read_json(path / TIMES_FILE) if (path / TIMES_FILE).exists() else {}
    before, done, started = max(times.values(), default=0.0), 0, time.process_time()

    def advance(updates: int) -> None:
        nonlocal done
        done += updates
        if done in wanted and str(done) not in times:
            times[str(done)] = before + time.process_time() - started
            write_json(path / TIMES_FILE, times)

    train_part(make_fabric(), store, run, "full", advance, wanted)


def curve(store: FrameStore, path: Path, name: str, length: str) -> list[dict[str, object]]:
    """What a run reached at each of its moments so far; kept beside its weights."""
    run = Run.open(path)
    feature, train = METHODS[name].feature, run.config.train
    times = read_json(path / TIMES_FILE) if (path / TIMES_FILE).exists() else {}
    points = []
    for update in moments(run.config):
        weights = snapshot_file(update)
        if not (run.path / "full" / weights).exists():
            continue
        kept = run.path / f"scores-{update}.json"
        if not kept.exists():
            write_json(kept, scores(run, store, weights))
        points.append(
            {
                "method": name,
                "repeat": run.facts.seed,
                "clips": update * train.clips_a_step,
                "pairs": update * train.pairs_a_step,
                "cpu_seconds": times.get(str(update)),
                "feature": feature,
                "scores": read_json(kept)[length],
            }
        )
        shown = read_json(kept)[length][feature]
        print(
            f"{path.name:24} {update * train.clips_a_step:>9,} clips "
            f"{update * train.pairs_a_step:>11,} pairs  rank 1/5/10/20 "
            + "/".join(f"{shown['ranks'][rank - 1]:.0%}" for rank in (1, 5, 10, 20))
            + f", mAP {shown['map']:.1%}",
            flush=True,
        )
    return points


def scores(run: Run, store: FrameStore, weights: str) -> dict[str, dict[str, object]]:
    """Of every feature, compared by distance ("own") and by angle ("unit"), query by query."""
    split = store.split(run.facts.trial)
    queries, gallery = (embed(run, store, part, weights) for part in (split.query, split.gallery))
    return {
        length: {
            kind: summary(
                score_by_protocol(*(tuple(map(scaled, part[kind])) for part in (queries, gallery)))
            )
            for kind in queries
        }
        for length, scaled in LENGTHS.items()
    }


def unit(embeddings: Embeddings) -> Embeddings:
    """The same, scaled to length 1: their distances rise with their angles."""
    lengths = np.linalg.norm(embeddings.features, axis=1, keepdims=True)
    return replace(embeddings, features=embeddings.features / lengths)


def summary(found: Scores) -> dict[str, object]:
    return {
        "ranks": found.cmc[:20].tolist(),
        "map": found.mean_average_precision,
        "queries": effective_queries(found.persons[found.scored]),
        "persons": found.persons.tolist(),
        "first_ranks": found.first_ranks.tolist(),
        "average_precisions": found.average_precisions.tolist(),
    }


def compare(points: list[dict], name: str) -> list[dict[str, object]]:
    """A method's feature minus its own temporal one, and minus the baseline's, query by query.

    Both sides were asked for the same people in the same split. Intervals are over trials.
    """
    asked = {(each["method"], each["clips"], each["repeat"]): each["scores"] for each in points}
    feature, rows = METHODS[name].feature, []
    for other in (name, BASELINE):
        for clips in sorted({each["clips"] for each in points if each["method"] == name}):
            both = [
                (asked[name, clips, repeat][feature], asked[other, clips, repeat]["temporal"])
                for repeat in range(len(points))
                if {(name, clips, repeat), (other, clips, repeat)} <= set(asked)
            ]
            if len(both) > 1 and (name, feature) != (other, "temporal"):
                rows.append(
                    {
                        "what": f"{name} {feature} - {other} temporal",
                        "clips": clips,
                        "trials": len(both),
                        **difference(both),
                    }
                )
                print(SHOWN.format(**rows[-1]), flush=True)
    return rows


SHOWN = (
    "{what:44} {clips:>6,} clips {trials:>2} trials  rank 1 {rank_1:+.1%} "
    "({rank_1_interval[0]:+.1%} to {rank_1_interval[1]:+.1%}; found by one alone: "
    "{first_alone} and {second_alone}), mAP {map:+.1%} "
    "({map_interval[0]:+.1%} to {map_interval[1]:+.1%})"
)


def difference(both: list[tuple[dict, dict]]) -> dict[str, object]:
    """Of the first minus the second in each trial: means, intervals, queries one alone finds."""
    hits, precisions = (
        [[np.array(side[key]) for side in pair] for pair in both]
        for key in ("first_ranks", "average_precisions")
    )
    found = [(first == 1, second == 1) for first, second in hits]
    ranks = np.array([first.mean() - second.mean() for first, second in found])
    maps = np.array([first.mean() - second.mean() for first, second in precisions])
    return {
        "rank_1": ranks.mean(),
        "rank_1_interval": around(ranks),
        "first_alone": int(sum((first & ~second).sum() for first, second in found)),
        "second_alone": int(sum((second & ~first).sum() for first, second in found)),
        "map": maps.mean(),
        "map_interval": around(maps),
    }


def around(values: np.ndarray) -> tuple[float, float]:
    mean, half = float(values.mean()), half_t_interval(values)
    return mean - half, mean + half


LENGTHS = {"own": replace, "unit": unit}


def panels(points: list[dict]) -> dict[str, dict[str, Learning]]:
    """Rank 1 by sampler and network, with its interval: over repeats, or of one over queries.

    What only some of a method's repeats have seen yet is left out: its band would tell how few.
    """
    drawn = dict[str, dict[str, Learning]]()
    reached = Counter((each["method"], each["clips"]) for each in points)
    repeats = {name: max(reached[key] for key in reached if key[0] == name) for name, _ in reached}
    for name, clips in reached:
        if reached[name, clips] < repeats[name]:
            continue
        method = METHODS[name]
        chosen = [
            each["scores"][method.feature]
            for each in points
            if (each["method"], each["clips"]) == (name, clips)
        ]
        shares = np.array([each["ranks"][0] for each in chosen])
        several = len(shares) > 1
        interval = (
            t_interval(shares) if several else wilson_interval(shares[0], chosen[0]["queries"])
        )
        panel = drawn.setdefault(f"sampler {method.sampler}: {FOUND}", {})
        network = f"{name.replace(f'-{method.sampler}', '')}, {method.feature}"
        panel.setdefault(network, {})[clips] = (float(shares.mean()), *interval)
    return drawn


if __name__ == "__main__":
    main()
