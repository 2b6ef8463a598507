import shutil
import tomllib
from dataclasses import replace

import pytest

from reseen.errors import ReseenError
from reseen.network.checkpoint import Run
from reseen.network.config import Config
from reseen.network.model_card import CARD_FILE, keep_model_card, model_card


@pytest.fixture
def run(finished_run, tmp_path):
    """A copy of a finished run, to be written to."""
    shutil.copytree(finished_run[0].path, tmp_path / "run")
    return Run.open(tmp_path / "run")


def test_training_writes_the_card_of_what_was_trained(run, finished_run):
    """Eight people, of whom five train; two of these are held out for the parts' weights."""
    card = (run.path / CARD_FILE).read_text("utf-8")
    assert card == model_card(run)
    assert f"| weights | `{run.identity}` |" in card
    assert "| people | 3 trained on, 2 more for the weights of the body parts |" in card
    assert "| data set | `blotches`, trial 0 |" in card
    store = finished_run[1]
    assert f"| store | `{store.fingerprint}`, flow {store.flow} |" in card
    assert "| gives | the feature `parts`, 128 numbers, compared by Euclidean distance |" in card
    assert "| looks at | clips of 2 crops |" in card
    assert "Not scored yet" in card


def test_settings_on_the_card_are_the_runs(run):
    settings = model_card(run).partition("```toml\n")[2].removesuffix("```\n")
    assert Config.from_mapping(tomllib.loads(settings), "card") == run.config


def test_a_network_over_vectors_says_so(run):
    over_vectors = replace(run, facts=replace(run.facts, frame_shape=(6, 2112)))
    assert "over what a frozen network makes of each crop" in model_card(over_vectors)
    assert "over the paper's CNN" in model_card(run)


def test_scores_go_with_the_weights(run, tmp_path):
    """To where it is exported, and they stay when a finished run is trained once more."""
    (run.path / CARD_FILE).write_text(model_card(run, "rank 1: 71 %"), "utf-8")
    keep_model_card(run, run.path)
    keep_model_card(run, tmp_path)
    for folder in (run.path, tmp_path):
        assert "rank 1: 71 %" in (folder / CARD_FILE).read_text("utf-8")


def test_scores_of_other_weights_do_not_stay(run):
    (run.path / CARD_FILE).write_text(model_card(run, "rank 1: 71 %"), "utf-8")
    other = replace(run, config=replace(run.config, loss=replace(run.config.loss, margin=3.0)))
    other.write_config()
    keep_model_card(other, run.path)
    assert (run.path / CARD_FILE).read_text("utf-8") == model_card(other)


def test_a_damaged_card_is_written_anew(run):
    (run.path / CARD_FILE).write_bytes(b"\xff\x00 weights")
    keep_model_card(run, run.path)
    assert (run.path / CARD_FILE).read_text("utf-8") == model_card(run)


def test_a_run_that_is_not_finished_has_no_card(run):
    (run.path / "full" / "weights.safetensors").unlink()
    with pytest.raises(ReseenError, match="has not finished"):
        model_card(run)
