"""The whole way, on people that the program draws."""

import time
from pathlib import Path

from reseen.data.datasets import load
from reseen.data.prepare import prepare
from reseen.evaluation.evaluate import evaluate
from reseen.evaluation.report import Report
from reseen.files import claim, locked, write_json
from reseen.network.checkpoint import Run
from reseen.network.config import Config
from reseen.network.model import PartFusion
from reseen.network.training import train
from reseen.report.page import write_evaluation
from reseen.synthetic.synthesize import synthesize

SEED_FILE = "demo.json"


def run_demo(out: Path, seed: int = 0) -> Report:
    """Draw people, prepare, train, evaluate; started again, go on where it was stopped.

    Args:
        out: folder for people, store and run, and for the files of `write_evaluation`.
        seed: every random number follows from it.

    Raises:
        ReseenError: `out` holds something else, or the demo of another seed.
    """
    started = time.monotonic()
    with locked(out):
        if not claim(out, SEED_FILE, {"seed": seed}):
            write_json(out / SEED_FILE, {"seed": seed})
        synthesize(out / "people", seed=seed)
        store = prepare(load("folder", out / "people"), out / "store")
        resume = (out / "run" / "run.json").exists()
        config = Config.preset("tuned")
        train(store, out / "run", config, PartFusion.PARTS, seed=seed, resume=resume)
        run = Run.open(out / "run")
        evaluation = evaluate(run, store)
        return write_evaluation(out, evaluation, run, store, time.monotonic() - started)
