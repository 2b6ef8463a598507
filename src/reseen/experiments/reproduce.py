"""The paper's tables and figures from one command."""

import os
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from reseen.data.clips import BodyPart
from reseen.data.store import FrameStore
from reseen.errors import ReseenError
from reseen.evaluation.evaluate import Evaluation, evaluate
from reseen.evaluation.metric_learning import LEARNED_METRICS
from reseen.evaluation.protocol import find_protocol, score_by_protocol, searched_gallery
from reseen.evaluation.report import FeatureScores, Report, Trial
from reseen.experiments.plan import known_variants, plan_runs, snapshots, train_runs
from reseen.experiments.tables import Results, sections
from reseen.files import claim, locked, read_json, write_json, write_text
from reseen.network.checkpoint import PARTS_FILE, Run, snapshot_file, versions
from reseen.network.config import Config
from reseen.network.embed import embed
from reseen.network.model import PartFusion
from reseen.network.part_fusion import learn_part_fusion
from reseen.parallel import unordered
from reseen.progress import progress
from reseen.report.page import headline_kind, write_page
from reseen.report.plots import plot_cmc
from reseen.report.ranked import chosen_rankings
from reseen.report.write import picture_sections

PLAN_FILE, REPORT_FILE = "plan.json", "report.json"
RANKINGS = 9


def reproduce(
    store: FrameStore,
    out: Path,
    config: Config,
    *,
    trials: int = 10,
    variants: Sequence[str] = (),
    parts: tuple[BodyPart, ...] = PartFusion.PARTS,
    seed: int = 0,
) -> Results:
    """Train and score the paper's network, its baseline and its variants over several trials.

    Writes `report.html`, `report.md`, `report.json` and `cmc.png`. Stopped at any point and
    started again, it goes on with what is finished.

    Args:
        store: the frames and splits.
        out: folder for the runs and the report.
        config: settings of the paper's network; the variants change one of them each.
        trials: how many of the store's splits.
        variants: keys of `VARIANTS` beside the paper's own network.
        parts: body parts of the paper's network; ("full",) saves two of its three trainings.
        seed: every random number follows from it.

    Raises:
        ReseenError: the store cannot be trained on, or `out` belongs to something else.
    """
    started = time.monotonic()
    names = known_variants(variants)
    plan = {"store": store.fingerprint, "seed": seed, "settings": config.to_toml()}
    with locked(out):
        if not claim(out, PLAN_FILE, plan):
            write_json(out / PLAN_FILE, plan)
        runs = plan_runs(store, out, config, trials, names, seed, parts)
        train_runs(store, runs, out)
        _score_runs(store, runs)
        results = _gather(runs)
        _write(out, store, config, runs, results, seed, time.monotonic() - started)
    return results


def _score_runs(store: FrameStore, runs: Mapping[tuple[int, str], Run]) -> None:
    """Score every run that is not scored yet, in several processes."""
    tasks = [(store.path, run) for run in runs.values()]
    processes = 1 if torch.cuda.is_available() else os.cpu_count()
    with progress("scoring", len(tasks), "runs") as advance:
        for _ in unordered(_score_alone, tasks, processes):
            advance(1)


def _score_alone(store: Path, run: Run) -> None:
    """Score a run in a process of its own, on one core."""
    torch.set_num_threads(1)
    _score_run(FrameStore.open(store), run)


def _score_run(store: FrameStore, run: Run) -> None:
    """Write the reports of a run: of its final weights, smaller budgets and learned metrics."""
    if run.facts.held_out and not (run.path / PARTS_FILE).exists():
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        run.save_part_fusion(learn_part_fusion(run, store, device))
    for updates in snapshots(run.config):
        path = run.path / f"report-{updates}.json"
        if not path.exists():
            whole_body = replace(run, facts=replace(run.facts, parts=("full",), held_out=()))
            smaller = evaluate(whole_body, store, weights=snapshot_file(updates))
            smaller.report(store.dataset).save(path)
    if not (run.path / REPORT_FILE).exists():
        final = evaluate(run, store)
        _score_learned_metrics(run, store, final)
        final.report(store.dataset).save(run.path / REPORT_FILE)


def _score_learned_metrics(run: Run, store: FrameStore, final: Evaluation) -> None:
    """Score the fused feature with each learned metric in place of Euclidean distance.

    The metrics are learned on the people that the networks were trained on, and on no other.
    Where one cannot be learned, the reason is kept instead: everything else still counts.
    """
    trained = set(run.facts.people)
    split = store.split(run.facts.trial)
    people = [index for index in split.train if int(store.persons[index]) in trained]
    views = embed(run, store, people)["fused"]
    train = replace(views[0], features=np.stack([view.features for view in views]).mean(axis=0))
    query, gallery = final.query["fused"], final.gallery["fused"]
    for name, fit in LEARNED_METRICS.items():
        try:
            metric = fit(train)
        except ReseenError as error:
            write_json(run.path / f"{name}-left-out.json", {"reason": str(error)})
            continue
        scores = score_by_protocol(final.protocol, query, gallery, metric.distances)
        trial = Trial(run.facts.trial, {"fused": FeatureScores.of(scores)})
        Report(store.dataset, final.protocol, (trial,)).save(run.path / f"{name}.json")


def _gather(runs: Mapping[tuple[int, str], Run]) -> Results:
    """All trials of each variant, budget and metric in one report each."""
    variants = {name: [run for (_, key), run in runs.items() if key == name] for _, name in runs}
    first = next(iter(runs.values()))
    left_out = {
        name: read_json(run.path / f"{name}-left-out.json")["reason"]
        for run in variants["paper"]
        for name in LEARNED_METRICS
        if (run.path / f"{name}-left-out.json").exists()
    }
    return Results(
        variants={name: _merged(chosen, REPORT_FILE) for name, chosen in variants.items()},
        budgets={
            name: {
                updates: _merged(chosen, f"report-{updates}.json")
                for updates in snapshots(first.config)
            }
            for name, chosen in variants.items()
        },
        metrics={
            name: _merged(variants["paper"], f"{name}.json")
            for name in LEARNED_METRICS
            if name not in left_out
        },
        left_out=left_out,
        updates=first.config.train.updates,
        pairs=first.config.train.pairs,
    )


def _merged(runs: Sequence[Run], name: str) -> Report:
    reports = [Report.load(run.path / name) for run in runs]
    trials = tuple(trial for report in reports for trial in report.trials)
    return replace(reports[0], trials=trials)


def _write(
    out: Path,
    store: FrameStore,
    config: Config,
    runs: Mapping[tuple[int, str], Run],
    results: Results,
    seed: int,
    seconds: float,
) -> None:
    report = results.variants["paper"]
    parts = sections(results, store.dataset)
    write_json(out / REPORT_FILE, results.document())
    plot_cmc(report, out / "cmc.png")
    facts = {
        "data": f"{store.dataset}, store {store.fingerprint[:12]}, flow {store.flow}",
        "networks": str(sum(len(run.facts.parts) for run in runs.values())),
        "seed": str(seed),
        "versions": ", ".join(f"{name} {value}" for name, value in versions().items()),
        "hardware": f"{os.cpu_count()} cores, {platform.machine()}, "
        f"{'CUDA' if torch.cuda.is_available() else 'no accelerator'}",
        "time of this call": f"{seconds:,.0f} s",
        "settings": config.to_toml(),
    }
    shown, kind = evaluate(runs[0, "paper"], store), headline_kind(report)
    query = shown.query[kind]
    gallery = searched_gallery(find_protocol(shown.protocol), query, shown.gallery[kind])
    write_page(
        out / "report.html",
        report,
        title=f"The paper's experiments on {store.dataset}",
        facts=facts,
        store=store,
        rankings=chosen_rankings(query, gallery, shown.scores[kind], RANKINGS),
        sections=[*parts, *picture_sections(runs[0, "paper"], store, query, gallery)],
        notes=store.notes,
    )
    write_text(out / "report.md", _markdown(report, results, store.dataset, facts))


def _markdown(report: Report, results: Results, dataset: str, facts: Mapping[str, Any]) -> str:
    blocks = [f"# The paper's experiments on {dataset}", report.markdown()]
    for section in sections(results, dataset):
        blocks += [f"## {section.heading}", *section.paragraphs]
        for table in section.tables:
            head = f"| {' | '.join(table.columns)} |\n|{'---|' * len(table.columns)}"
            rows = "\n".join(f"| {' | '.join(row)} |" for row in table.rows)
            blocks += [f"{head}\n{rows}", *([table.caption] if table.caption else [])]
    blocks += [
        "## Facts",
        *(f"- {name}: {value}" for name, value in facts.items() if name != "settings"),
    ]
    return "\n\n".join(blocks) + f"\n\n```toml\n{facts['settings']}```\n"
