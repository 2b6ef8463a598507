"""Whether a run folder is as it was written."""

from pathlib import Path

from reseen.data.check import CheckResult
from reseen.data.datasets.common import Fact
from reseen.errors import ReseenError
from reseen.network.checkpoint import Run
from reseen.network.model import PartFusion


def check_run(path: Path) -> CheckResult:
    """Open a run and read all its weights, each compared with the digest that lies with it."""
    run = Run.open(path)
    problems = []
    for part in run.facts.parts:
        try:
            run.network(part)
        except ReseenError as error:
            problems.append(str(error))
    if set(run.facts.parts) == set(PartFusion.PARTS):
        try:
            run.part_fusion()
        except ReseenError as error:
            problems.append(str(error))
    facts = (
        Fact("body parts", None, len(run.facts.parts)),
        Fact("people trained on", None, len(run.facts.people)),
    )
    return CheckResult(facts, tuple(problems))
