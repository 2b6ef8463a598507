"""Where a training's settings come from: preset, file, command line, in this order."""

import pytest

from reseen.cli import run
from reseen.errors import ReseenError
from reseen.network.config import Config

PEOPLE = [(person, camera, 16) for person in (1, 2, 3, 4) for camera in (1, 2)]


@pytest.fixture
def trained_with(make_store, tmp_path):
    store = make_store(PEOPLE, trained={1, 2})

    def settings(*options: str) -> Config:
        out = tmp_path / f"run{len(list(tmp_path.iterdir()))}"
        assert run(["train", str(store.path), "--out", str(out), *options]) == 0
        return Config.load(out / "config.toml")

    return settings


def test_every_table_of_a_preset_counts(trained_with):
    quick = Config.preset("quick")

    found = trained_with("--preset", "quick", "--updates", "1")

    assert found.optimiser == quick.optimiser
    assert found.evaluation == quick.evaluation
    assert found.train.pairs == quick.train.pairs != Config().train.pairs
    assert found.train.updates == 1


def test_a_file_stands_over_the_preset_and_the_command_line_over_both(trained_with, tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text("[train]\nupdates = 1\npairs = 3\n[network]\nactivation = 'tanh'\n")

    found = trained_with("--preset", "quick", "--config", str(file), "--train.pairs", "2")

    assert (found.train.updates, found.train.pairs) == (1, 2)
    assert found.network.activation == "tanh"
    assert found.optimiser.name == "adam"


@pytest.mark.parametrize(
    "words",
    [
        ["ingest", "a.mp4", "--gallery", "g", "--every", "1.5"],
        ["train", "store", "--out", "run", "--train.updates=2.5"],
        ["search", "g", "somebody", "--count", "0.5"],
    ],
)
def test_a_fraction_where_a_whole_number_is_meant_is_not_rounded(words, capsys):
    assert run(words) == 2
    assert "takes a whole number, not " in capsys.readouterr().err


def test_an_unknown_key_names_the_nearest(make_store, tmp_path, capsys):
    store = make_store(PEOPLE, trained={1, 2})
    file = tmp_path / "mine.toml"
    file.write_text("[train]\nupdate = 1\n")

    code = run(["train", str(store.path), "--out", str(tmp_path / "run"), "--config", str(file)])

    assert code == 2
    error = capsys.readouterr().err
    assert "unknown setting 'train.update'; did you mean 'train.updates'?" in error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "variants"),
    [(["--no-variants"], []), (["--variants", "tanh", "--variants", "tied"], ["tanh", "tied"])],
)
def test_a_reproduction_compares_with_what_is_asked_for(make_store, tmp_path, options, variants):
    store = make_store(PEOPLE * 2, trained={1, 2})
    asked = []

    def remember(*_arguments, **settings):
        asked.extend(settings["variants"])
        raise ReseenError("that is all")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reseen.experiments.reproduce.reproduce", remember)
        run(["reproduce", str(store.path), "--out", str(tmp_path / "report"), *options])

    assert asked == variants
