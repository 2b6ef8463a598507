"""The ten names of the package, and the examples in docstrings."""

import doctest
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import reseen
from reseen.errors import ReseenError

PACKAGE = Path(reseen.__file__).parent
WITH_EXAMPLES = [
    ".".join(("reseen", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
    for path in sorted(PACKAGE.rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]


def test_every_name_is_there():
    assert len(reseen.__all__) == 10
    assert dir(reseen) == sorted(reseen.__all__)
    for name in reseen.__all__:
        assert callable(getattr(reseen, name))
    with pytest.raises(AttributeError, match="module 'reseen' has no attribute 'embed_all'"):
        _ = reseen.embed_all


def test_importing_the_package_loads_nothing_of_it():
    code = "import reseen, sys; print([m for m in sys.modules if m.startswith('reseen.')])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("module", WITH_EXAMPLES)
def test_examples_in_docstrings(module):
    found = doctest.testmod(import_module(module))
    assert found.attempted
    assert not found.failed


def test_a_run_embeds_pictures_as_its_store_embeds_their_frames(finished_run):
    run = reseen.load(str(finished_run[0].path))
    random = np.random.default_rng(0)
    pictures = [random.integers(0, 256, (64, 32, 3), np.uint8) for _ in range(4)]
    found = run.embed([pictures, pictures[:3], pictures])
    assert found.shape == (3, 128)
    np.testing.assert_array_equal(found[0], found[2])
    assert np.abs(found[0] - found[1]).max() > 0


def test_an_evaluation_prints_itself_as_a_table(finished_run):
    text = str(reseen.evaluate(*finished_run))
    assert "| fused (CNN+RNN) |" in text
    with pytest.raises(ReseenError, match="is not a run"):
        reseen.load("nowhere")
