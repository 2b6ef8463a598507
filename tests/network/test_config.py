import tomllib
from dataclasses import asdict

import pytest

from reseen.errors import ReseenError
from reseen.network.config import PRESETS, Config


def refusal(values):
    with pytest.raises(ReseenError) as error:
        Config.from_mapping(values, "my.toml")
    return str(error.value)


def test_paper_is_the_default():
    assert Config.preset("paper") == Config()


def test_mclaughlin_is_the_published_baseline():
    config = Config.preset("mclaughlin")
    assert (config.network.activation, config.network.recurrent_input) == ("tanh", "tied")
    assert (config.loss.siamese, config.loss.feature, config.loss.margin) == (
        "hinge",
        "temporal",
        2,
    )
    assert not config.clips.negate_mirrored_flow


def test_quick_is_the_papers_network_and_loss():
    quick, paper = Config.preset("quick"), Config()
    assert quick.network == paper.network
    assert quick.loss == paper.loss
    assert quick.train.updates < paper.train.updates


def test_tuned_changes_four_choices_of_quick():
    quick, tuned = asdict(Config.preset("quick")), asdict(Config.preset("tuned"))
    quick["network"] |= {"activation": "tanh", "recurrent_input": "identity-first"}
    quick["clips"]["start"], quick["loss"]["siamese"] = "random", "hinge"
    assert tuned == quick


def test_optimiser_is_the_baselines():
    optimiser = Config().optimiser
    assert (optimiser.name, optimiser.learning_rate) == ("sgd", 1e-3)
    assert optimiser.momentum == optimiser.dampening == 0.9
    assert optimiser.clamp == 5


@pytest.mark.parametrize("name", PRESETS)
def test_settings_survive_a_file(tmp_path, name):
    path = tmp_path / "config.toml"
    path.write_text(Config.preset(name).to_toml())
    assert Config.load(path) == Config.preset(name)
    assert tomllib.loads(path.read_text()) == asdict(Config.preset(name))


def test_file_replaces_what_it_names_and_nothing_else(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text("[train]\npairs = 8\n[optimiser]\nlearning_rate = 1\n")
    config, quick = Config.load(path, Config.preset("quick")), Config.preset("quick")
    assert config.train.pairs == 8
    assert config.optimiser.learning_rate == 1.0
    assert config.train.updates == quick.train.updates
    assert config.network == quick.network


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"trian": {}}, "unknown setting 'trian'; did you mean 'train'?"),
        ({"train": {"pair": 2}}, "unknown setting 'train.pair'; did you mean 'train.pairs'?"),
        ({"train": {"zzz": 2}}, "unknown setting 'train.zzz'; there are train.updates, "),
        ({"train": 3}, "train must be a table, not 3"),
        ({"train": {"pairs": 2.5}}, "train.pairs must be a whole number, not 2.5"),
        ({"train": {"pairs": True}}, "train.pairs must be a whole number, not True"),
        ({"network": {"dropout": "0.5"}}, "network.dropout must be a number, not '0.5'"),
        ({"loss": {"siamese": "l2"}}, "loss.siamese must be one of literal, hadsell, hinge"),
        (
            {"evaluation": {"augmentations": 8}},
            "evaluation.augmentations must be one of 1, 16, not 8",
        ),
    ],
)
def test_wrong_settings_are_named(values, words):
    assert refusal(values).startswith(f"my.toml: {words}")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"network": {"dropout": 1.0}}, "network.dropout must be at least 0 and below 1"),
        ({"train": {"held_out": -0.1}}, "train.held_out must be at least 0 and below 1"),
        ({"train": {"updates": 0}}, "train.updates must be above 0"),
        ({"train": {"pairs": -1}}, "train.pairs must be above 0"),
        ({"clips": {"frames": 0}}, "clips.frames must be above 0"),
        ({"loss": {"margin": float("nan")}}, "loss.margin must be above 0"),
        ({"optimiser": {"learning_rate": float("inf")}}, "optimiser.learning_rate must be above 0"),
        (
            {"optimiser": {"learning_rate": 10**400}},
            "learning_rate must be a number, not 1",
        ),
    ],
)
def test_values_out_of_range_are_named(values, words):
    assert words in refusal(values)


def test_missing_file_and_broken_file_are_named(tmp_path):
    path = tmp_path / "config.toml"
    with pytest.raises(ReseenError, match=r"config\.toml does not exist"):
        Config.load(path)
    path.write_text("[train\n")
    with pytest.raises(ReseenError, match=r"config\.toml is not TOML"):
        Config.load(path)
    path.write_text("x = " + "[" * 100_000)
    with pytest.raises(ReseenError, match=r"config\.toml is not TOML"):
        Config.load(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ReseenError, match=r"config\.toml cannot be read as text"):
        Config.load(path)


def test_unknown_preset_names_the_nearest():
    with pytest.raises(ReseenError, match="no preset 'qick'; did you mean 'quick'"):
        Config.preset("qick")
