"""Benchmarks and examples are not run here, but what they import must be there."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = sorted([*ROOT.glob("benchmarks/*.py"), *ROOT.glob("examples/*.py")])

LOAD_ALL = """
import json, runpy, sys, traceback
faults = {}
for script in sys.argv[1:]:
    sys.path[0] = script.rpartition("/")[0]
    try:
        runpy.run_path(script, run_name="not main")
    except BaseException:
        faults[script] = traceback.format_exc()
print(json.dumps(faults))
"""


@pytest.fixture(scope="module")
def faults():
    """What went wrong in each script; one process loads all, because libraries load slowly."""
    command = [sys.executable, "-c", LOAD_ALL, *map(str, SCRIPTS)]
    done = subprocess.run(command, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_finds_what_it_imports(script, faults):
    assert str(script) not in faults, faults[str(script)]
