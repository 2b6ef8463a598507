"""What each branch sees: people who differ in clothes alone, in both, in their walk alone.

Run as `python benchmarks/ladder.py OUT --trials 5`. Draws three times sixty people, trains the
paper's network on each with and without optical flow, and writes `ladder.png` and, in a folder for
each kind of people, the report of `reproduce`. Stopped, or asked for more trials, it goes on with
what is there.
"""

import argparse
from pathlib import Path

from reseen.data.datasets.folder import load
from reseen.data.prepare import prepare
from reseen.evaluation.report import Report
from reseen.experiments.reproduce import reproduce
from reseen.network.config import Config
from reseen.report.plots import ladder_figure, save
from reseen.synthetic.synthesize import synthesize

RUNGS = {
    "clothes": {"twins": 0.0, "same_gait": True},
    "both": {},
    "gait": {"twins": 1.0},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--trials", type=int, default=5)
    arguments = parser.parse_args()
    drawn = dict[str, Report]()
    for name, differences in RUNGS.items():
        folder = arguments.out / name
        synthesize(folder / "people", **differences)
        store = prepare(load(folder / "people"), folder / "store")
        found = reproduce(
            store,
            folder / "report",
            Config.preset("quick"),
            trials=arguments.trials,
            variants=("no-flow",),
            parts=("full",),
        ).variants
        drawn |= {name: found["paper"], f"{name},\nno flow": found["no-flow"]}
    for what, report in drawn.items():
        print(what.replace("\n", " "), report.markdown(), sep="\n")
    save(ladder_figure(drawn), arguments.out / "ladder.png")


if __name__ == "__main__":
    main()
