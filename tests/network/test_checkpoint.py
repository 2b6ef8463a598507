import pickle
import resource
from dataclasses import replace
from functools import partial
from hashlib import blake2b, sha256
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from reseen.data.coding import FRAME_SHAPE
from reseen.errors import ReseenError
from reseen.files import read_json, write_json
from reseen.network.checkpoint import Run, RunFacts, read_tensors, write_tensors
from reseen.network.config import Config
from reseen.network.losses import Learner
from reseen.network.model import PartFusion

FACTS = RunFacts("noise", "abc", "dis", FRAME_SHAPE, 0, 7, ("full",), (1, 2), (), {"reseen": "0"})


@pytest.fixture
def run(tmp_path):
    """A finished run."""
    made = Run.create(tmp_path / "run", Config.preset("quick"), FACTS)
    write_tensors(weights_file(made), dict(Learner(made.config, 2, seed=1).state_dict()), {})
    return made


def weights_file(run):
    return run.path / "full" / "weights.safetensors"


def test_run_comes_back_as_it_was(run):
    opened = Run.open(run.path)
    assert (opened.config, opened.facts) == (run.config, FACTS)
    expected = Learner(run.config, 2, seed=1).network.state_dict()
    network = opened.network("full")
    assert not network.training
    for name, value in network.state_dict().items():
        assert torch.equal(value, expected[name])


def test_run_is_never_made_over_another(run):
    with pytest.raises(ReseenError, match=r"holds a run already; go on with --resume"):
        Run.create(run.path, Config(), FACTS)
    assert Run.open(run.path).config == run.config


def test_folder_without_a_run(tmp_path):
    with pytest.raises(ReseenError, match="is not a run; make one with: reseen train"):
        Run.open(tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": 99}, "written by another version of reseen"),
        ({"format": None}, "written by another version of reseen"),
        ({"parts": ["middle"]}, r"Invalid enum value .middle. - at `\$\.parts\[0\]`"),
        ({"parts": []}, "names no body parts"),
        ({"seed": None, "surprise": 1}, "is damaged"),
    ],
)
def test_facts_of_another_version_or_damaged(run, change, words):
    write_json(run.path / "run.json", read_json(run.path / "run.json") | change)
    with pytest.raises(ReseenError, match=words):
        Run.open(run.path)


def test_facts_that_lack_one(run):
    values = read_json(run.path / "run.json")
    del values["people"]
    write_json(run.path / "run.json", values)
    with pytest.raises(ReseenError, match=r"run\.json is damaged: .*`people`"):
        Run.open(run.path)


def test_missing_weights(run):
    weights_file(run).unlink()
    for use in (lambda: run.network("full"), lambda: run.identity):
        with pytest.raises(ReseenError, match=r"weights\.safetensors is missing; the training"):
            use()


@pytest.mark.parametrize("length", [0, 5, 1000])
def test_damaged_weights(run, length):
    weights_file(run).write_bytes(weights_file(run).read_bytes()[:length])
    with pytest.raises(ReseenError, match=r"weights\.safetensors is not a whole safetensors file"):
        run.network("full")


def test_a_run_of_before_a_setting_got_its_name_keeps_settings_and_identity(run):
    """Galleries know what was embedded by a run's identity: it must not change with reseen."""
    path = run.path / "config.toml"
    text = path.read_text().partition("\n")[2].replace("augmentations = ", "views = ")
    path.write_text(f"# digest {blake2b(text.encode(), digest_size=16).hexdigest()}\n{text}")
    assert Run.open(run.path).config == run.config
    weights = weights_file(run).read_bytes()
    assert run.identity == sha256(text.encode() + weights).hexdigest()[:12]


def test_settings_cut_after_any_line_are_named(run):
    path = run.path / "config.toml"
    lines = path.read_text().splitlines(keepends=True)
    assert len(lines) > 37
    for kept in range(len(lines)):
        path.write_text("".join(lines[:kept]))
        with pytest.raises(ReseenError, match=r"config\.toml is not as it was written"):
            Run.open(run.path)


@pytest.mark.parametrize("change", [{"seed": 8}, {"people": [1, 3]}, {"digest": "0"}])
def test_facts_that_were_changed_are_named(run, change):
    write_json(run.path / "run.json", read_json(run.path / "run.json") | change)
    with pytest.raises(ReseenError, match=r"run\.json is not as it was written"):
        Run.open(run.path)


@pytest.mark.parametrize("place", [-1, -100_000, -1_000_001])
def test_a_flipped_bit_of_the_weights_is_named(run, place):
    content = bytearray(weights_file(run).read_bytes())
    content[place] ^= 1
    weights_file(run).write_bytes(content)
    with pytest.raises(ReseenError, match=r"weights\.safetensors is not as it was written"):
        run.network("full")


class Bomb:
    """Unpickling it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize(
    ("save", "load"),
    [(pickle.dump, pickle.load), (torch.save, partial(torch.load, weights_only=False))],
    ids=["pickle", "torch.save"],
)
def test_opening_runs_no_code(run, tmp_path, save, load):
    with weights_file(run).open("wb") as file:
        save(Bomb(tmp_path / "exploded"), file)
    with pytest.raises(ReseenError, match="is not a whole safetensors file"):
        run.network("full")
    assert not (tmp_path / "exploded").exists()
    with weights_file(run).open("rb") as file:
        load(file)
    assert (tmp_path / "exploded").exists(), "the file was no danger in the first place"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"network.projection.bias": torch.zeros(64)},
            r"projection\.bias is \(64,\), expected \(128,\)",
        ),
        ({"network.start": None}, r"start is missing, expected \(128,\)"),
        ({"network.surprise": torch.zeros(3)}, r"surprise is \(3,\), expected nothing"),
    ],
)
def test_weights_that_do_not_fit(run, change, words):
    tensors = load_file(weights_file(run)) | change
    kept = {name: value for name, value in tensors.items() if value is not None}
    write_tensors(weights_file(run), kept, {})
    with pytest.raises(ReseenError, match=words):
        run.network("full")


def test_full_disk_is_named_and_old_weights_stay(run, monkeypatch):
    before = weights_file(run).read_bytes()

    def full(*_):
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("reseen.network.checkpoint.save_file", full)
    with pytest.raises(ReseenError, match=r"no space left on the disk for .*weights"):
        write_tensors(weights_file(run), {"a": torch.zeros(3)}, {})
    assert weights_file(run).read_bytes() == before
    assert [path.name for path in weights_file(run).parent.iterdir()] == ["weights.safetensors"]


def test_refusal_of_the_system_is_named(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(ReseenError, match=r"cannot write .*t\.safetensors: .*File too large"):
            write_tensors(tmp_path / "t.safetensors", {"a": torch.zeros(10_000)}, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.iterdir())


def test_tensors_and_metadata_come_back(tmp_path):
    tensors = {"a": torch.arange(6.0).reshape(2, 3).T, "b": torch.tensor(3)}
    write_tensors(tmp_path / "t.safetensors", tensors, {"updates": "4"})
    read, metadata = read_tensors(tmp_path / "t.safetensors")
    assert metadata == {"updates": "4"}
    assert all(torch.equal(read[name], value) for name, value in tensors.items())


def test_part_weights_come_back(run):
    fusion = PartFusion()
    fusion.logits.data = torch.tensor([0.3, -1.0, 2.0])
    run.save_part_fusion(fusion)
    torch.testing.assert_close(run.part_fusion().weights, fusion.weights)
    assert sum(
        read_json(run.path / "parts.json")[part] for part in PartFusion.PARTS
    ) == pytest.approx(1)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"full": 0.5, "upper": 0.5}, "missing required field `lower`"),
        ({"full": 0.5, "upper": 0.5, "lower": "x"}, r"got `str` - at `\$\.lower`"),
        ({"full": 0.5, "upper": 0.5, "lower": 0}, "holds a weight that is not above 0"),
        ({"full": 0.5, "upper": 0.3, "lower": 0.3}, "weights that do not sum to 1"),
        ([1, 2, 3], r"parts\.json is damaged: Expected `object`, got `array`"),
    ],
)
def test_damaged_part_weights(run, values, words):
    write_json(run.path / "parts.json", values)
    with pytest.raises(ReseenError, match=words):
        run.part_fusion()


def test_part_weights_of_which_a_digit_changed_are_told(run):
    run.save_part_fusion(PartFusion())
    text = (run.path / "parts.json").read_text()
    (run.path / "parts.json").write_text(text.replace("0.3333333", "0.3333334", 1))
    with pytest.raises(ReseenError, match=r"parts\.json is not as it was written"):
        run.part_fusion()


def test_identity_stands_for_weights_settings_and_part_weights(run):
    identities = [run.identity, Run.open(run.path).identity]
    assert len(set(identities)) == 1
    replace(run, config=Config()).write_config()
    identities.append(run.identity)
    run.save_part_fusion(PartFusion())
    identities.append(run.identity)
    write_tensors(weights_file(run), dict(Learner(run.config, 2, seed=2).state_dict()), {})
    identities.append(run.identity)
    assert len(set(identities)) == 4
