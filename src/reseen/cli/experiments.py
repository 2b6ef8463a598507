"""The commands that score: demo, evaluate, reproduce."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from reseen.cli import options
from reseen.cli.network import with_updates
from reseen.cli.options import save_result, within
from reseen.files import require_place
from reseen.progress import make_table, print_notes, print_table

if TYPE_CHECKING:
    from reseen.data.embeddings import Embeddings


def demo(out: Path = Path("demo"), *, seed: options.Seed = 0, json: options.Json = None) -> None:
    """Make synthetic people, train the tuned network on some, find the others again.

    Args:
        out: Folder for the people, the run, report.html and report.json.
    """
    from reseen.experiments.demo import run_demo

    report = run_demo(out, seed)
    save_result(json, report.document())
    print_table(report.table())
    print(f"{out / 'report.html'}")


def evaluate(
    run: options.RunFolder,
    store: options.Store,
    *,
    protocol: str | None = None,
    rerank: bool = False,
    identities: Annotated[bool, Parameter(negative="")] = False,
    out: Path | None = None,
    json: options.Json = None,
) -> None:
    """Score a run on the test people: CMC and mAP for every feature.

    Args:
        protocol: cross-camera, mars-official, mars-field or mars-torchreid; by default the data
            set's own.
        rerank: Order the gallery anew by k-reciprocal neighbours.
        identities: Also put the test people together as identities: pairs, B-cubed, IDF1, HOTA.
        out: Folder for report.html, report.json, MODEL_CARD.md, cmc.png and ranked.png; by default
            RUN.
    """
    from reseen.data.store import FrameStore
    from reseen.evaluation.evaluate import evaluate
    from reseen.network.checkpoint import Run
    from reseen.network.embed import final_kind
    from reseen.report.page import write_evaluation

    opened = Run.open(run)
    frames = FrameStore(store)
    folder = out or run
    require_place(folder / "report.json")
    evaluation = evaluate(opened, frames, protocol, reranked=rerank)
    report = write_evaluation(folder, evaluation, opened, frames)
    document = report.document()
    print_table(report.table())
    if identities:
        document |= _identities(evaluation.everybody(final_kind(opened)))
    save_result(json, document)
    print_notes(*evaluation.notes)
    print(folder / "report.html")


def _identities(found: "Embeddings") -> dict[str, object]:
    """Print how well identities are found, and give it as a part of the report."""
    from reseen.gallery.identity_scores import COLUMNS, identity_rows, score_identities

    scores = score_identities(found)
    print_table(make_table("identities", COLUMNS, identity_rows(scores)))
    return {
        "identities": {
            way: {**asdict(each), "identities": count} for way, (each, count) in scores.items()
        }
    }


def reproduce(
    store: options.Store,
    *,
    out: Path,
    trials: Annotated[int, within(1)] = 10,
    variants: Annotated[list[str] | None, Parameter(negative="--no-variants")] = None,
    part: Literal["full", "all"] = "all",
    preset: options.Preset = "paper",  # noqa: ARG001 _fill_settings
    config: options.ConfigFile = None,  # noqa: ARG001 _fill_settings
    updates: options.Updates = None,
    table1: Annotated[bool, Parameter(negative="")] = False,
    vectors: Path | None = None,
    seed: options.Seed = 0,
    json: options.Json = None,
    settings: options.Settings = None,
) -> None:
    """Run the paper's experiments: every table and figure, over several trials.

    Stopped and started again, it goes on with what is finished.

    Args:
        out: Folder for the runs, report.html, report.md and report.json.
        trials: How many of the store's splits.
        variants: Networks to compare with the paper's: mclaughlin, tuned, ide, tanh, no-dropout,
            tied, hadsell, hinge, unit, strong-flow, no-flow; by default all. Repeat the option for
            several.
        part: full: without the body parts, whose three networks take most of the time.
        table1: Also score other methods of the paper's Table 1: TDL and SRID on our features; IDE
            with Euclidean distance and XQDA, and RCN + KISSME, which are networks and trained.
        vectors: A store of the same data by prepare --trunk: adds the preset modern to Table 1.
        settings: Single settings, over preset and file.
    """
    from reseen.data.store import FrameStore
    from reseen.experiments.plan import VARIANTS
    from reseen.experiments.reproduce import REPORT_FILE, reproduce
    from reseen.files import read_json
    from reseen.network.model import PartFusion

    chosen = with_updates(settings, updates)
    names = list(VARIANTS) if variants is None else variants
    results = reproduce(
        FrameStore(store),
        out,
        chosen,
        trials=trials,
        variants=names,
        parts=PartFusion.PARTS if part == "all" else ("full",),
        table1=table1,
        vectors=FrameStore(vectors) if vectors else None,
        seed=seed,
    )
    save_result(json, read_json(out / REPORT_FILE))
    print_table(results.variants["paper"].table())
    print(out / "report.html")
