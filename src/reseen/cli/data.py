"""The commands about people in folders: draw, check, prepare."""

from pathlib import Path
from typing import Annotated, Literal

from reseen.cli import options
from reseen.cli.options import save_result, within
from reseen.errors import many
from reseen.files import CheckResult
from reseen.progress import make_table, plain, print_notes, print_table


def synthesize(
    out: Path,
    *,
    people: Annotated[int, within(1)] = 60,
    cameras: Annotated[int, within(1)] = 2,
    twins: Annotated[float, within(0, 1)] = 0.2,
    same_gait: bool = False,
    seed: options.Seed = 0,
) -> None:
    """Make synthetic people who walk, as image folders.

    Args:
        out: Folder to make, as OUT/PERSON/CAMERA/FRAME.png.
        people: How many people.
        cameras: How many cameras see each of them.
        twins: Share of people who look the same and differ only in how they move.
        same_gait: Let everybody move the same, so that people differ only in how they look.
    """
    from reseen.synthetic.synthesize import synthesize

    synthesize(out, people, cameras, twins, seed, same_gait)


def check(
    dataset: options.Dataset,
    root: options.DatasetRoot,
    *,
    layout: options.Layout = None,
    json: options.Json = None,
) -> int:
    """Compare a data set's folder with what it must hold.

    `check store`, `check run` and `check gallery` read what reseen made, and compare all of it with
    the checksums that were kept when it was written.

    Ends with 0 when all is right, with 1 and the list of problems when not.
    """
    result = _checked(dataset, root, layout)
    save_result(json, result)
    rows = [fact.row for fact in result.facts]
    print_table(make_table(f"{dataset} in {root}", ("", "published", "found", ""), rows))
    print_notes(*result.notes)
    for problem in result.problems:
        print(plain(problem))
    return 0 if result.ok else 1


def _checked(dataset: str, root: Path, layout: options.Layout) -> CheckResult:
    if dataset == "run":
        from reseen.network.checkpoint import Run

        return Run.open(root).check()
    if dataset == "gallery":
        from reseen.gallery.gallery import Gallery

        return Gallery.open(root).check()
    from reseen.data.check import check, check_store

    return check_store(root) if dataset == "store" else check(dataset, root, layout)


def prepare(
    dataset: options.Dataset,
    root: options.DatasetRoot,
    *,
    out: Path,
    flow: Literal["lucas-kanade", "dis"] = "lucas-kanade",
    trunk: str = "",
    style: options.Style = None,
    layout: options.Layout = None,
    ray: options.RayCluster = None,
    gpus: options.Gpus = 0.0,
    json: options.Json = None,
) -> None:
    """Decode a data set, compute its optical flow and pack both for training.

    Stopped and started again, it goes on where it was.

    Args:
        out: The store to make.
        flow: Lucas-Kanade as in the paper's baseline, or OpenCV's DIS.
        trunk: Store what a frozen network makes of each picture instead, to train only the head
            on it: lite0, another trunk of `reseen models list`, or an ONNX file.
    """
    from reseen.data.datasets import load
    from reseen.data.prepare import prepare

    benchmark = load(dataset, root, layout)
    spread = options.spread(None, ray, gpus)
    store = prepare(benchmark, out, flow, trunk=trunk, style=style, spread=spread)
    counts = {
        "frames": len(store.frames),
        "tracklets": len(store),
        "people": len({person for person in store.persons.tolist() if person > 0}),
        "splits": len(store.splits),
    }
    save_result(json, {**counts, "notes": store.notes, "left_out": store.left_out})
    nouns = dict(zip(counts, ("frame", "tracklet", "person", "split"), strict=True))
    print(f"{out}: " + ", ".join(many(count, nouns[what]) for what, count in counts.items()))
    print_notes(*store.notes, *store.left_out)
