"""The commands: each parses, calls one function of a room and prints.

Rooms are imported inside the commands, so that `reseen -h` answers at once.
"""

import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, ArgumentCollection, CycloptsError, Parameter
from cyclopts.config import Dict

from reseen.errors import ReseenError
from reseen.network.config import Config
from reseen.printing import make_table, print_notes, print_table
from reseen.search_cli import calibrate, gallery_app, search, serve, track

BodyParts = Literal["full", "upper", "lower", "all"]
ConfigOverrides = Annotated[Config | None, Parameter(name="*")]

app = App(
    name="reseen",
    help="Find the same person again in another camera's video.",
    suppress_keyboard_interrupt=False,
)


def main() -> None:
    """Run a command and end with its exit code; a user's mistake is one line and code 2."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run a command.

    Args:
        arguments: what follows `reseen` on the command line.

    Returns:
        The exit code: 0 well, 1 a check found problems, 2 a mistake or bad input, 130 Ctrl-C.
    """
    try:
        code = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except (CycloptsError, ReseenError) as error:
        print(f"reseen: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as interrupt:
        print(f"reseen: stopped. {interrupt}".rstrip(), file=sys.stderr)
        return 130
    return code if isinstance(code, int) else 0


def _fill_settings(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Give every setting that is not on the command line its value from preset and file."""
    given = {argument.name: argument.tokens[0].value for argument in arguments if argument.tokens}
    if "--preset" not in {argument.name for argument in arguments}:
        return
    config = Config.preset(given.get("--preset", "paper"))
    if "--config" in given:
        config = Config.load(Path(given["--config"]), config)
    values = asdict(config)
    for command in reversed(commands):  # else a table with the name of a command is passed over
        values = {command: values}
    Dict(values, source="settings")(app, commands, arguments)


app.config = [_fill_settings]
for command in (track, gallery_app, search, calibrate, serve):
    app.command(command)


@app.command
def demo(out: Path = Path("demo"), *, seed: int = 0) -> None:
    """Draw people, train the tuned network on some, find the others again.

    Parameters
    ----------
    out
        Folder for the people, the run, report.html and report.json.
    seed
        Every random number follows from it.
    """
    from reseen.evaluation.demo import run_demo

    report = run_demo(out, seed)
    print_table(report.table())
    print(f"{out / 'report.html'}")


@app.command
def synthesize(
    out: Path,
    *,
    people: int = 60,
    cameras: int = 2,
    twins: float = 0.2,
    same_gait: bool = False,
    seed: int = 0,
) -> None:
    """Draw walking people as image folders.

    Parameters
    ----------
    out
        Folder to draw to, as OUT/PERSON/CAMERA/FRAME.png.
    people
        How many people.
    cameras
        How many cameras see each of them.
    twins
        Share of people who look the same and differ only in how they move.
    same_gait
        Let everybody move the same, so that people differ only in how they look.
    seed
        The same seed gives the same pixels.
    """
    from reseen.data.datasets.synthetic import synthesize

    synthesize(out, people, cameras, twins, seed, same_gait)


@app.command
def check(dataset: str, root: Path) -> int:
    """Compare a data set's folder with what it must hold.

    Ends with 0 when all is right, with 1 and the list of problems when not.

    Parameters
    ----------
    dataset
        prid2011, prid2011-178, ilids-vid, mars, folder or synthetic.
    root
        Its folder.
    """
    from reseen.data.check import check

    result = check(dataset, root)
    rows = [fact.row for fact in result.facts]
    print_table(make_table(f"{dataset} in {root}", ("", "published", "found", ""), rows))
    print_notes(result.notes)
    for problem in result.problems:
        print(problem)
    return 0 if result.ok else 1


@app.command
def prepare(
    dataset: str,
    root: Path,
    *,
    out: Path,
    flow: Literal["lucas-kanade", "dis"] = "lucas-kanade",
) -> None:
    """Decode a data set, compute its optical flow and pack both for training.

    Stopped and started again, it goes on where it was.

    Parameters
    ----------
    dataset
        prid2011, prid2011-178, ilids-vid, mars, folder or synthetic.
    root
        Its folder.
    out
        The store to make.
    flow
        Lucas-Kanade as in the paper's baseline, or OpenCV's DIS.
    """
    from reseen.data.datasets import load
    from reseen.data.prepare import prepare

    store = prepare(load(dataset, root), out, flow)
    people = len({person for person in store.persons.tolist() if person > 0})
    print(
        f"{out}: {len(store.frames):,} frames, {len(store):,} tracklets, {people:,} people, "
        f"{len(store.splits)} {'split' if len(store.splits) == 1 else 'splits'}"
    )
    print_notes((*store.notes, *store.left_out))


@app.command
def train(
    store: Path,
    *,
    out: Path,
    preset: Literal["paper", "quick", "tuned", "mclaughlin"] = "paper",  # noqa: ARG001 _fill_settings
    config: Path | None = None,  # noqa: ARG001 _fill_settings
    updates: int | None = None,
    seed: int = 0,
    part: BodyParts = "full",
    trial: int = 0,
    resume: bool = False,
    precision: Literal["32-true", "bf16-mixed"] = "32-true",
    settings: ConfigOverrides = None,
) -> None:
    """Train the network on a store, or three of them and the weights of their fusion.

    Parameters
    ----------
    store
        What `reseen prepare` made.
    out
        The run folder.
    preset
        Settings to start from.
    config
        TOML file with settings that replace the preset's.
    updates
        Steps of the optimiser.
    seed
        Every random number follows from it.
    part
        Body part to train on; all: the three networks and the weights of eq. (10).
    trial
        Which of the store's splits.
    resume
        Go on with the run in OUT.
    precision
        bf16-mixed: forward and backward pass in bfloat16.
    settings
        Single settings, over preset and file.
    """
    from reseen.data.store import FrameStore
    from reseen.network.model import PartFusion
    from reseen.network.training import train

    parts = PartFusion.PARTS if part == "all" else (part,)
    run = train(
        FrameStore.open(store),
        out,
        _with_updates(settings, updates),
        parts,
        trial=trial,
        seed=seed,
        resume=resume,
        precision=precision,
    )
    print(f"{run.path}: trained on {len(run.facts.people)} people, weights {run.identity}")


@app.command
def evaluate(
    run: Path,
    store: Path,
    *,
    protocol: str | None = None,
    rerank: bool = False,
    out: Path | None = None,
    json: Path | None = None,
) -> None:
    """Score a run on the test people: CMC and mAP for every feature.

    Parameters
    ----------
    run
        What `reseen train` made.
    store
        What `reseen prepare` made.
    protocol
        cross-camera, mars-official, mars-field or mars-torchreid; by default the data set's own.
    rerank
        Order the gallery anew by k-reciprocal neighbours.
    out
        Folder for report.html, report.json, cmc.png and ranked.png; by default RUN.
    json
        Where else to write the JSON report.
    """
    from reseen.data.store import FrameStore
    from reseen.evaluation.evaluate import evaluate, write_evaluation
    from reseen.network.checkpoint import Run

    opened = Run.open(run)
    frames = FrameStore.open(store)
    evaluation = evaluate(opened, frames, protocol, reranked=rerank)
    folder = out or run
    report = write_evaluation(folder, evaluation, opened, frames)
    if json is not None:
        report.save(json)
    print_table(report.table())
    print_notes(evaluation.notes)
    print(folder / "report.html")


@app.command
def embed(run: Path, store: Path, *, out: Path, feature: str | None = None) -> None:
    """Write the features of all tracklets of a store as Parquet.

    Parameters
    ----------
    run
        What `reseen train` made.
    store
        What `reseen prepare` made.
    out
        The Parquet file: name, person, camera, feature.
    feature
        spatial, temporal, fused, upper, lower or parts; by default the run's final feature.
    """
    from reseen.data.store import FrameStore
    from reseen.evaluation.features import embed_all
    from reseen.network.checkpoint import Run

    embeddings = embed_all(Run.open(run), FrameStore.open(store), feature)
    embeddings.save(out)
    print(f"{out}: {len(embeddings):,} features")


@app.command
def reproduce(
    store: Path,
    *,
    out: Path,
    trials: int = 10,
    variants: Annotated[list[str] | None, Parameter(negative="--no-variants")] = None,
    part: Literal["full", "all"] = "all",
    preset: Literal["paper", "quick", "tuned", "mclaughlin"] = "paper",  # noqa: ARG001 _fill_settings
    config: Path | None = None,  # noqa: ARG001 _fill_settings
    updates: int | None = None,
    seed: int = 0,
    settings: ConfigOverrides = None,
) -> None:
    """Run the paper's experiments: every table and figure, over several trials.

    Stopped and started again, it goes on with what is finished.

    Parameters
    ----------
    store
        What `reseen prepare` made.
    out
        Folder for the runs, report.html, report.md and report.json.
    trials
        How many of the store's splits.
    variants
        Networks to compare with the paper's: mclaughlin, tuned, tanh, no-dropout, tied, hadsell,
        hinge, unit, strong-flow, no-flow; by default all. Repeat the option for several.
    part
        full: without the body parts, whose three networks take most of the time.
    preset
        Settings to start from.
    config
        TOML file with settings that replace the preset's.
    updates
        Steps of the optimiser for each network.
    seed
        Every random number follows from it.
    settings
        Single settings, over preset and file.
    """
    from reseen.data.store import FrameStore
    from reseen.evaluation.plan import VARIANTS
    from reseen.evaluation.reproduce import reproduce
    from reseen.network.model import PartFusion

    chosen = _with_updates(settings, updates)
    names = list(VARIANTS) if variants is None else variants
    results = reproduce(
        FrameStore.open(store),
        out,
        chosen,
        trials=trials,
        variants=names,
        parts=PartFusion.PARTS if part == "all" else ("full",),
        seed=seed,
    )
    print_table(results.variants["paper"].table())
    print(out / "report.html")


@app.command
def export(run: Path, *, out: Path) -> None:
    """Write a run as ONNX, normalisation inside, and check it against PyTorch.

    Parameters
    ----------
    run
        What `reseen train` made.
    out
        The ONNX file: frames (batch, 16, 5, 64, 48) uint8 in, feature (batch, 128) out.
    """
    from reseen.network.checkpoint import Run
    from reseen.network.export import export_onnx

    difference = export_onnx(Run.open(run), out)
    print(f"{out}: differs from PyTorch by {difference:.1e} at most")


def _with_updates(settings: Config | None, updates: int | None) -> Config:
    chosen = settings or Config()
    if updates is None:
        return chosen
    return replace(chosen, train=replace(chosen.train, updates=updates))
