"""Change the code in small ways, one at a time, and count how many changes its tests notice.

    python benchmarks/mutate.py                      # 40 changes in each module, seed 0
    python benchmarks/mutate.py metrics --sample 0   # every change in one module

Each change is made in a copy of the project and met by the module's own tests alone. What
survives is either a test that is missing or a change that changes nothing; the latter are
listed in `EQUIVALENT`, each with its reason, and are not counted.
"""

import argparse
import ast
import copy
import importlib
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULES = {
    "metrics": ("evaluation/metrics.py", "evaluation/test_metrics.py"),
    "protocol": ("evaluation/protocol.py", "evaluation/test_protocol.py"),
    "intervals": ("evaluation/intervals.py", "evaluation/test_intervals.py"),
    "tables": ("experiments/tables.py", "experiments/test_tables.py"),
    "calibration": ("gallery/calibration.py", "gallery/test_calibration.py"),
    "losses": ("network/losses.py", "network/test_losses.py", "network/test_learner.py"),
    "clips": ("data/clips.py", "data/test_clips.py"),
    "tracker": ("tracking/tracker.py", "tracking/test_tracker.py"),
}

EQUIVALENT: dict[str, str] = {
    "intervals: 1.0  ->  1.5  in  return max(0.0, centre - half), min(1.0, centre + half)": (
        "Wilson's upper end is at most 1; the limit only takes rounding away"
    ),
    "metrics: 50  ->  51  in  MAX_RANK = 50": "how far the curve goes is a choice, not a truth",
    "protocol: 1  ->  2  in  near = get_close_matches(name, PROTOCOLS, n=1, cutoff=0)[0]": (
        "only the first is taken"
    ),
    "calibration: _logit(pairs.same.mean()) + 1  ->  _logit(pairs.same.mean()) - 1  in  "
    "start = np.array([_logit(pairs.same.mean()) + 1, 1.0])": (
        "the loss is convex: where the descent starts changes rounding only"
    ),
    "calibration: 1  ->  2  in  start = np.array([_logit(pairs.same.mean()) + 1, 1.0])": (
        "the loss is convex: where the descent starts changes rounding only"
    ),
    "calibration: 0  ->  1  in  return Pairs(np.zeros(0), np.zeros(0, dtype=np.bool_))": (
        "no pair or one of two people: both are refused as too few"
    ),
    "calibration: np.zeros  ->  np.ones  in  "
    "return Pairs(np.zeros(0), np.zeros(0, dtype=np.bool_))": "both are empty",
    "calibration: 1e-12  ->  1.5e-12  in  "
    "scale = max(float(pairs.distances.std()), 1e-12)": "any small number keeps from dividing by 0",
    "calibration: held_out.gain > SURE_GAIN * held_out.gain_error  ->  "
    "held_out.gain >= SURE_GAIN * held_out.gain_error  in  "
    "if not held_out.gain > SURE_GAIN * held_out.gain_error:": (
        "a gain of exactly so many standard errors, to the last bit, is promised nothing"
    ),
    "tracker: 8  ->  9  in  LOOK_BINS, LOOK_RANGE = (8, 6, 6), ((0, 256), (90, 170), (90, 170))": (
        "how finely lightness is told is a choice"
    ),
    "tracker: likeness >= LEAST_LIKENESS  ->  likeness > LEAST_LIKENESS  in  "
    "possible = (overlaps >= least_overlap) & (likeness >= LEAST_LIKENESS)": (
        "a cosine is never the bound to the last bit"
    ),
    "tracker: 1  ->  2  in  self.detections += 1": "only one detection is told from more",
    "losses: torch.rand(shape, generator=generator, device=generator.device) >= rate  ->  "
    "torch.rand(shape, generator=generator, device=generator.device) > rate  in  "
    "kept = torch.rand(shape, generator=generator, device=generator.device) >= rate": (
        "a number drawn is the rate itself once in 2^24, if ever"
    ),
    "losses: -1  ->  1  in  squared = difference.square().sum(dim=-1)": "features are (B, D)",
    "losses: -1  ->  1  in  distance = torch.linalg.vector_norm(difference, dim=-1)"
    "  # its gradient at zero is zero": "features are (B, D)",
    "losses: -1  ->  1  in  distance = torch.linalg.vector_norm(difference, dim=-1)": (
        "features are (B, D)"
    ),
}
"""Changes that change nothing that is promised, as `run` prints them, and why."""

COMPARISONS = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.GtE),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
ARITHMETIC = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
NAMES = {
    "min": "max", "max": "min", "any": "all", "all": "any", "argmin": "argmax",
    "argmax": "argmin", "minimum": "maximum", "maximum": "minimum", "mean": "sum",
    "sum": "mean", "ones": "zeros", "zeros": "ones", "floor": "ceil", "ceil": "floor",
}  # fmt: skip
WORDS = {"left": "right", "right": "left"}
PRELOADED = (
    "cv2",
    "hypothesis",
    "lightning_fabric",
    "matplotlib.figure",
    "scipy.optimize",
    "torch",
)
"""What each forked process finds loaded already."""

UNTOUCHED = {"annotation", "returns", "decorator_list", "exc", "names"}
"""Fields that say something to readers and checkers only, messages of errors among them; beside
them `strict`, which guards against what a caller cannot reach."""


def replacements(node: Any) -> list[ast.AST]:
    """What may stand in a node's place."""
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        others = COMPARISONS[type(node.ops[0])]
        return [ast.Compare(node.left, [other()], node.comparators) for other in others]
    if isinstance(node, ast.Constant):
        return _constants(node.value)
    if isinstance(node, ast.Raise) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    ):
        return [ast.Pass()]
    return [change(node) for kind, change in CHANGES.items() if isinstance(node, kind)]


def _constants(value: object) -> list[ast.AST]:
    match value:
        case bool():
            return [ast.Constant(not value)]
        case int():
            return [ast.Constant(value + 1)]
        case float():
            return [ast.Constant(value * 1.5 or 0.5)]
        case str() if value in WORDS:
            return [ast.Constant(WORDS[value])]
    return []


def _with(**fields: Callable[[Any], Any]) -> Callable[[Any], ast.AST]:
    """A change that computes some fields of a node anew."""

    def change(node: Any) -> ast.AST:
        other = copy.copy(node)
        for name, compute in fields.items():
            setattr(other, name, compute(getattr(node, name)))
        return other

    return change


def _negated(test: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.Not(), test)


def _operator(found: ast.AST) -> ast.AST:
    return ARITHMETIC.get(type(found), type(found))()


CHANGES: dict[type[ast.AST], Callable[[Any], ast.AST]] = {
    ast.BinOp: _with(op=_operator),
    ast.AugAssign: _with(op=_operator),
    ast.BoolOp: _with(op=lambda found: ast.And() if isinstance(found, ast.Or) else ast.Or()),
    ast.UnaryOp: lambda node: node.operand,
    ast.Name: _with(id=lambda name: NAMES.get(name, name)),
    ast.Attribute: _with(attr=lambda name: NAMES.get(name, name)),
    ast.keyword: _with(
        value=lambda found: (
            ast.Constant(0)
            if isinstance(found, ast.Constant) and found.value is not True and found.value == 1
            else found
        )
    ),
    ast.If: _with(test=_negated),
    ast.IfExp: _with(test=_negated),
}


def places(node: ast.AST) -> Iterator[tuple[ast.AST, str, int | None, ast.AST]]:
    """Every node below one that may be changed: its parent, the field, the place in a list."""
    for field, value in ast.iter_fields(node):
        if field in UNTOUCHED or isinstance(node, ast.JoinedStr):
            continue
        for index, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            guard = isinstance(child, ast.keyword) and child.arg == "strict"
            if isinstance(child, ast.AST) and not guard:
                yield node, field, index, child
                yield from places(child)


def mutants(source: str) -> Iterator[tuple[str, str]]:
    """Every change of a module: in words, and the module's source with it."""
    tree = ast.parse(source)
    unchanged = ast.unparse(tree)
    for parent, field, index, node in list(places(tree)):
        for other in replacements(node):
            _put(parent, field, index, other)
            whole = ast.unparse(ast.fix_missing_locations(tree))
            _put(parent, field, index, node)
            if whole == unchanged:
                continue
            before, after = (ast.unparse(each).split("\n")[0] for each in (node, other))
            line = source.split("\n")[node.lineno - 1].strip()
            yield f"{before}  ->  {after}  in  {line}", whole


def _put(parent: ast.AST, field: str, index: int | None, node: ast.AST) -> None:
    if index is None:
        setattr(parent, field, node)
    else:
        getattr(parent, field)[index] = node


def outcome(project: Path, tests: Sequence[str], limit: float) -> str:
    """Whether a module's tests notice what stands in the copied project."""
    process = multiprocessing.get_context("fork").Process(target=_test, args=(project, tests))
    process.start()
    process.join(limit)
    if process.is_alive():
        process.kill()
        process.join()
        return "timed out"
    return "killed" if process.exitcode else "survived"


def _test(project: Path, tests: Sequence[str]) -> None:
    """Run test files in a process of its own, which has the libraries but not reseen loaded."""
    os.chdir(project)
    sys.path.insert(0, str(project / "src"))
    sys.dont_write_bytecode = True
    sys.stdout = sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115
    options = ["-x", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=0"]
    os._exit(pytest.main([*options, *(f"tests/{test}" for test in tests)]))


def run(name: str, project: Path, sample: int, seed: int, limit: float) -> Counter[str]:
    """Try a sample of the changes of one module; prints every one that survives."""
    path, *tests = MODULES[name]
    module = project / "src" / "reseen" / path
    source = module.read_text(encoding="utf-8")
    every = list(mutants(source))
    chosen = random.Random(seed).sample(every, min(sample or len(every), len(every)))
    if outcome(project, tests, limit) != "survived":
        sys.exit(f"{', '.join(tests)}: fails or takes longer than {limit} s without any change")
    counts: Counter[str] = Counter()
    for text, changed in chosen:
        module.write_text(changed, encoding="utf-8")
        told = f"{name}: {text}"
        found = "equivalent" if told in EQUIVALENT else outcome(project, tests, limit)
        counts[found] += 1
        if found == "survived":
            print(told, flush=True)
    module.write_text(source, encoding="utf-8")
    tried = sum(counts.values()) - counts["equivalent"]
    noticed = counts["killed"] + counts["timed out"]
    print(f"{name}: {noticed} of {tried} noticed, of {len(every)} changes in all; {dict(counts)}")
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("modules", nargs="*", default=list(MODULES), help=", ".join(MODULES))
    parser.add_argument("--sample", type=int, default=40, help="of each module's; 0 for all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=120, help="seconds for a module's tests")
    options = parser.parse_args()
    os.nice(10)
    for library in PRELOADED:
        importlib.import_module(library)
    total: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "project"
        for part in ("src", "tests", "benchmarks"):
            shutil.copytree(ROOT / part, project / part)
        shutil.copy(ROOT / "pyproject.toml", project)
        for name in options.modules:
            total += run(name, project, options.sample, options.seed, options.limit)
    noticed = total["killed"] + total["timed out"]
    tried = total.total() - total["equivalent"]
    print(f"all: {noticed} of {tried} noticed, {100 * noticed / tried:.1f} %")


if __name__ == "__main__":
    main()
