"""Benchmarks and examples are not run here, but what they import must be there."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = sorted([*ROOT.glob("benchmarks/*.py"), *ROOT.glob("examples/*.py")])


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_finds_what_it_imports(script):
    load = f"import runpy; runpy.run_path({str(script)!r}, run_name='not main')"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(script.parent)!r}); {load}"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
