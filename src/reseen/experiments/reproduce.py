"""The paper's tables and figures from one command."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from reseen.data.clips import BodyPart
from reseen.data.embeddings import averaged
from reseen.data.store import FrameStore
from reseen.errors import ReseenError
from reseen.evaluation.evaluate import Evaluation, evaluate
from reseen.evaluation.metric_learning import LEARNED_METRICS
from reseen.evaluation.protocol import score_by_protocol
from reseen.evaluation.report import FeatureScores, Report, Trial, markdown_table
from reseen.experiments.modern import require_same_data, train_modern, trunk_metrics
from reseen.experiments.plan import VARIANTS, known_variants, plan_runs, snapshots, train_runs
from reseen.experiments.rebuilt import REBUILT, TRAINED, fit_tdl, srid_scores
from reseen.experiments.tables import Results, learning_curves, sections
from reseen.files import claim, locked, read_json, write_json, write_text
from reseen.network.checkpoint import PARTS_FILE, Run, snapshot_file
from reseen.network.config import Config
from reseen.network.embed import best_device, embed
from reseen.network.held_out import learn_part_fusion
from reseen.network.model import PartFusion
from reseen.network.model_card import CARD_FILE, model_card
from reseen.parallel import unordered
from reseen.progress import progress
from reseen.report.page import facts, write_pages
from reseen.report.plots import FOUND, learning_figure, save

PLAN_FILE, REPORT_FILE = "plan.json", "report.json"
LEFT_OUT = "-left-out.json"
"""End of the file that says why a method has no scores."""


def reproduce(
    store: FrameStore,
    out: Path,
    config: Config,
    *,
    trials: int = 10,
    variants: Sequence[str] = (),
    parts: tuple[BodyPart, ...] = PartFusion.PARTS,
    table1: bool = False,
    vectors: FrameStore | None = None,
    seed: int = 0,
) -> Results:
    """Train and score the paper's network, its baseline and its variants over several trials.

    Writes `report.html`, `report.md`, `report.json`, `cmc.png`, `learning.png` and `ranked.png`.
    Stopped at any point and started again, it goes on with what is finished.

    Args:
        store: the frames and splits.
        out: folder for the runs and the report.
        config: settings of the paper's network; the variants change one of them each.
        trials: how many of the store's splits.
        variants: keys of `VARIANTS` beside the paper's own network.
        parts: body parts of the paper's network; ("full",) saves two of its three trainings.
        table1: score the other methods of Table 1 as well: `REBUILT` on our features, and those
            that are networks of their own, which are trained.
        vectors: the same data as a pretrained trunk sees it, for the rows of the preset `modern`.
        seed: every random number follows from it.

    Raises:
        ReseenError: the store cannot be trained on, or `out` belongs to something else.
    """
    started = time.monotonic()
    methods = (*LEARNED_METRICS, *((*REBUILT, *TRAINED) if table1 else ()))
    names = known_variants((*variants, *(_origin(name)[0] for name in methods)))
    plan = {"store": store.fingerprint, "seed": seed, "settings": config.to_toml()}
    if vectors:
        require_same_data(vectors, store)
    with locked(out):
        begun = claim(out, PLAN_FILE, plan)
        runs = plan_runs(store, out, config, trials, names, seed, parts)
        if not begun:
            write_json(out / PLAN_FILE, plan)
        train_runs(store, runs, out)
        _score_runs(store, runs, methods)
        results = _gather(runs, methods)
        if vectors:
            modern = train_modern(vectors, out, trials, seed, REPORT_FILE)
            results = replace(
                results,
                modern=_merged(modern, REPORT_FILE),
                trunk_metrics=trunk_metrics(vectors, trials),
            )
        _write(out, store, runs, results, time.monotonic() - started)
    return results


def _score_runs(
    store: FrameStore, runs: Mapping[tuple[int, str], Run], methods: Sequence[str]
) -> None:
    """Score every run that is not scored yet, in several processes."""
    origins = [_origin(name) for name in methods]
    tasks = [
        (
            store.path,
            run,
            [how for variant, how in origins if variant == name],
            VARIANTS[name].feature,
            name == "paper",
        )
        for (_, name), run in runs.items()
    ]
    processes = 1 if torch.cuda.is_available() else None
    with progress("scoring", len(tasks), "runs") as advance:
        for _ in unordered(_score_alone, tasks, processes):
            advance(1)


def _origin(method: str) -> tuple[str, str]:
    """The variant whose feature a method compares, and how it compares it."""
    return TRAINED.get(method, ("paper", method))


def _score_alone(store: Path, run: Run, methods: Sequence[str], kind: str, beside: bool) -> None:
    """Score a run in a process of its own, on one core."""
    torch.set_num_threads(1)
    _score_run(FrameStore(store), run, methods, kind, beside=beside)


def _score_run(
    store: FrameStore,
    run: Run,
    methods: Sequence[str],
    kind: str = "fused",
    *,
    beside: bool = True,
) -> None:
    """Write the reports of a run: of its final weights, smaller budgets and other methods.

    What stands `beside` it is scored once for each trial, with the paper's own network.
    """
    if run.facts.held_out and not (run.path / PARTS_FILE).exists():
        run.save_part_fusion(learn_part_fusion(run, store, best_device()))
    for updates in snapshots(run.config):
        path = run.path / f"report-{updates}.json"
        if not path.exists():
            whole_body = replace(run, facts=replace(run.facts, parts=("full",), held_out=()))
            weights = snapshot_file(updates)
            smaller = evaluate(whole_body, store, weights=weights, beside=False)
            smaller.report().save(path)
    missing = [
        name
        for name in methods
        if not any((run.path / file).exists() for file in (f"{name}.json", f"{name}{LEFT_OUT}"))
    ]
    if missing or not (run.path / REPORT_FILE).exists():
        final = evaluate(run, store, beside=beside)
        _score_methods(run, store, final, missing, kind)
        report = final.report()
        write_text(run.path / CARD_FILE, model_card(run, report.markdown()))
        report.save(run.path / REPORT_FILE)


def _score_methods(
    run: Run, store: FrameStore, final: Evaluation, names: Sequence[str], kind: str
) -> None:
    """Score a feature by learned metrics and rebuilt methods, and by Euclidean distance.

    They learn on the people that the networks were trained on, and on no other. Where one
    cannot learn, the reason is kept instead: everything else still counts.
    """
    if not names:
        return
    train = averaged(embed(run, store, run.tracklets(store, run.facts.people))[kind])
    query, gallery = final.query[kind], final.gallery[kind]
    for name in names:
        try:
            if name == "SRID":
                scores = srid_scores(final)
            elif name == "euclidean":
                scores = final.scores[kind]
            else:
                fit = fit_tdl if name == "TDL" else LEARNED_METRICS[name]
                learned = fit(train).distances
                scores = score_by_protocol(query, gallery, final.protocol, learned)
        except ReseenError as error:
            write_json(run.path / f"{name}{LEFT_OUT}", {"reason": str(error)})
            continue
        trial = Trial(run.facts.trial, {kind: FeatureScores.of(scores)})
        Report(store.dataset, final.protocol, (trial,)).save(run.path / f"{name}.json")


def _gather(runs: Mapping[tuple[int, str], Run], methods: Sequence[str]) -> Results:
    """All trials of each variant, budget and method in one report each."""
    variants = {name: [run for (_, key), run in runs.items() if key == name] for _, name in runs}
    first = next(iter(runs.values()))
    origins = [(name, *_origin(name)) for name in methods]
    left_out = {
        name: read_json(run.path / f"{how}{LEFT_OUT}")["reason"]
        for name, variant, how in origins
        for run in variants[variant]
        if (run.path / f"{how}{LEFT_OUT}").exists()
    }
    scored = {
        name: _merged(variants[variant], f"{how}.json")
        for name, variant, how in origins
        if name not in left_out
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
        metrics={name: report for name, report in scored.items() if name in LEARNED_METRICS},
        rebuilt={name: report for name, report in scored.items() if name not in LEARNED_METRICS},
        left_out=left_out,
        updates=first.config.train.updates,
        pairs=first.config.train.pairs_a_step,
        clips=first.config.train.clips_a_step,
    )


def _merged(runs: Sequence[Run], name: str) -> Report:
    reports = [Report.load(run.path / name) for run in runs]
    trials = tuple(trial for report in reports for trial in report.trials)
    return Report(reports[0].dataset, reports[0].protocol, trials)


def _write(
    out: Path,
    store: FrameStore,
    runs: Mapping[tuple[int, str], Run],
    results: Results,
    seconds: float,
) -> None:
    first = runs[0, "paper"]
    own = {
        "networks": str(sum(len(run.facts.parts) for run in runs.values())),
        "people of the first trial": f"{len(first.facts.people)} trained on",
        "seed": str(first.facts.seed),
    }
    title, known = f"The paper's experiments on {store.dataset}", facts(first, store, own, seconds)
    report, parts = results.variants["paper"], sections(results, store.dataset)
    write_json(out / REPORT_FILE, results.document())
    write_pages(out, report, evaluate(first, store), first, store, title, known, parts)
    save(learning_figure({FOUND: learning_curves(results)}), out / "learning.png")
    blocks = [f"# {title}", report.markdown()]
    for section in parts:
        blocks += [f"## {section.heading}", *section.paragraphs]
        for table in section.tables:
            blocks.append(markdown_table(table.columns, table.rows))
            blocks += [table.caption] if table.caption else []
    settings = known.pop("settings")
    blocks += ["## Facts", *(f"- {name}: {value}" for name, value in known.items())]
    write_text(out / "report.md", "\n\n".join(blocks) + f"\n\n```toml\n{settings}```\n")
