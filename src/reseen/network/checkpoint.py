"""A run folder: what a training leaves behind, and how it is opened again.

    RUN/config.toml                  all settings, resolved
    RUN/run.json                     data, people, seed, versions
    RUN/<part>/weights.safetensors   the network and its classifier
    RUN/<part>/checkpoint.safetensors  the same and the optimiser's state, to go on from
    RUN/<part>/weights-N.safetensors  the same after N updates, of which the best became weights
    RUN/<part>/log.csv               the loss of every update
    RUN/parts.json                   the weights of eq. (10), where all parts were trained
    RUN/MODEL_CARD.md                what it is and may be used for, for people

Nothing here is ever executed on opening: weights are safetensors, the rest is text.
"""

import hashlib
import json
import platform
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import msgspec
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from reseen.data.clips import BodyPart
from reseen.data.store import FrameStore
from reseen.errors import ReseenError
from reseen.files import (
    CheckResult,
    Fact,
    converted,
    read_as,
    read_json,
    read_text,
    write_json,
    write_text,
    written_aside,
)
from reseen.network.config import Config
from reseen.network.model import PartFusion, SpatialTemporalFusion

FORMAT = 2
CONFIG_FILE, RUN_FILE, PARTS_FILE = "config.toml", "run.json", "parts.json"
WEIGHTS_FILE, CHECKPOINT_FILE, LOG_FILE = "weights.safetensors", "checkpoint.safetensors", "log.csv"


class _PartWeights(msgspec.Struct):
    full: float
    upper: float
    lower: float
    digest: str | None = None


@dataclass(frozen=True)
class RunFacts:
    """What `run.json` holds: where a run comes from.

    Attributes:
        store: fingerprint of the store trained on.
        flow: how the store's flow was computed.
        frame_shape: of the store's frames, by which the trunk is chosen.
        trial: which of the store's splits.
        seed: every random number of the training follows from it.
        parts: body parts trained.
        people: persons the networks were trained on.
        held_out: persons kept back for the weights of eq. (10).
        versions: of reseen, torch and Python.
        trunk: the network whose vectors were trained on, as in the store; empty for pictures.
        trunk_file: where its file lay then, if it was named by that.
    """

    dataset: str
    store: str
    flow: str
    frame_shape: tuple[int, ...]
    trial: int
    seed: int
    parts: tuple[BodyPart, ...]
    people: tuple[int, ...]
    held_out: tuple[int, ...]
    versions: dict[str, str]
    trunk: str = ""
    trunk_file: str = ""

    @property
    def every_part(self) -> bool:
        """Whether eq. (10) has its three features."""
        return set(self.parts) == set(PartFusion.PARTS)


@dataclass(frozen=True, eq=False)
class Run:
    """A run folder that has been opened.

    Attributes:
        facts: where the run comes from.
    """

    path: Path
    config: Config
    facts: RunFacts

    @classmethod
    def create(cls, path: Path, config: Config, facts: RunFacts) -> Self:
        """Make a run folder."""
        if (path / RUN_FILE).exists():
            raise ReseenError(f"{path} holds a run already; go on with --resume or choose another")
        run = cls(path, config, facts)
        run.write_config()
        digest = _digest(json.dumps(asdict(facts)))
        write_json(path / RUN_FILE, {"format": FORMAT, "digest": digest, **asdict(facts)})
        return run

    def write_config(self) -> None:
        """Write the settings, under a line with their digest."""
        text = self.config.to_toml()
        write_text(self.path / CONFIG_FILE, f"# digest {_digest(text)}\n{text}")

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a run folder; weights are read when they are asked for.

        Raises:
            ReseenError: there is no run, it was written by another version, or its settings or
                facts are not as they were written.
        """
        if not (path / RUN_FILE).is_file():
            raise ReseenError(f"{path} is not a run; make one with: reseen train")
        values = read_json(path / RUN_FILE)
        if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
            raise ReseenError(f"{path} was written by another version of reseen; train it again")
        digest, found = values.pop("digest", None), _digest(json.dumps(values))
        facts = converted(values, RunFacts, path / RUN_FILE, "train it again")
        if not facts.parts:
            raise ReseenError(f"{path / RUN_FILE} names no body parts; train it again")
        _require_unchanged(digest == found, path / RUN_FILE)
        run = cls(path, Config.load(path / CONFIG_FILE), facts)
        head, text = run._written_settings()
        _require_unchanged(head == f"# digest {_digest(text)}", path / CONFIG_FILE)
        return run

    def _written_settings(self) -> tuple[str, str]:
        """The line with the settings' digest, and the settings."""
        head, _, text = read_text(self.path / CONFIG_FILE).partition("\n")
        return head, text

    def check(self) -> CheckResult:
        """Read all weights, each compared with the digest that lies with it."""
        reads: list[Callable[[], object]]
        reads = [*(partial(self.network, part) for part in self.facts.parts), self.part_fusion]
        problems = []
        for read in reads if self.facts.every_part else reads[:-1]:
            try:
                read()
            except ReseenError as error:
                problems.append(str(error))
        counts = {"body parts": self.facts.parts, "people trained on": self.facts.people}
        facts = (Fact(name, None, len(values)) for name, values in counts.items())
        return CheckResult(tuple(facts), tuple(problems))

    def tracklets(self, store: FrameStore, people: Collection[int]) -> tuple[int, ...]:
        """Indices of those training tracklets of a store that show some people."""
        chosen, split = set(people), store.split(self.facts.trial)
        return tuple(index for index in split.train if int(store.persons[index]) in chosen)

    def network(self, part: BodyPart, weights: str = WEIGHTS_FILE) -> SpatialTemporalFusion:
        """The trained network of a body part, in evaluation mode on the CPU.

        Args:
            weights: the file's name; a snapshot's for a smaller budget.
        """
        path = self.path / part / weights
        network = SpatialTemporalFusion(self.config.network, self.facts.frame_shape)
        load_weights(network, below("network", read_tensors(path)[0]), path)
        return network.eval()

    def part_fusion(self) -> PartFusion:
        """Eq. (10) with its learned weights."""
        path = self.path / PARTS_FILE
        found = read_as(path, _PartWeights, "train it again")
        values = {part: getattr(found, part) for part in PartFusion.PARTS}
        _require_unchanged(found.digest in (None, _digest(json.dumps(values))), path)
        weights = torch.tensor(list(values.values()))
        if not (weights > 0).all():
            raise ReseenError(f"{path} holds a weight that is not above 0")
        if abs(weights.sum().item() - 1) > 1e-5:  # a softmax; its three roundings are 2e-7
            raise ReseenError(f"{path} holds weights that do not sum to 1; train it again")
        fusion = PartFusion()
        fusion.logits.data = weights.log()
        return fusion

    def save_part_fusion(self, fusion: PartFusion) -> None:
        """Write the learned weights of eq. (10)."""
        values = dict(zip(PartFusion.PARTS, fusion.weights.tolist(), strict=True))
        digest = _digest(json.dumps(values))
        write_json(self.path / PARTS_FILE, {**values, "digest": digest})

    @property
    def identity(self) -> str:
        """Twelve hexadecimal digits that stand for exactly these weights and settings."""
        # As written, not as read: a later version of reseen may know more settings.
        digest = hashlib.sha256(self._written_settings()[1].encode())
        for part in self.facts.parts:
            path = self.path / part / WEIGHTS_FILE
            if not path.is_file():
                raise ReseenError(f"{path} is missing; the training has not finished")
            digest.update(path.read_bytes())
        if (self.path / PARTS_FILE).is_file():
            digest.update((self.path / PARTS_FILE).read_bytes())
        return digest.hexdigest()[:12]


def snapshot_file(updates: int) -> str:
    """Name of the file with the weights after a number of updates."""
    return f"weights-{updates}.safetensors"


def versions() -> dict[str, str]:
    """Versions that a result may depend on."""
    return {
        "reseen": version("reseen"),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors of a safetensors file, and its metadata."""
    if not path.is_file():
        raise ReseenError(f"{path} is missing; the training has not finished")
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise ReseenError(f"{path} is not a whole safetensors file ({error})") from error
    _require_unchanged(metadata.pop("digest", None) == _tensors_digest(tensors, metadata), path)
    return tensors, metadata


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write tensors and metadata, whole or not at all."""
    contiguous = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    with written_aside(path) as temporary:
        try:
            digest = _tensors_digest(contiguous, metadata)
            save_file(contiguous, temporary, {**metadata, "digest": digest})
        except SafetensorError as error:  # it wraps the system's error, as text only
            raise OSError(_error_number(str(error)), str(error)) from error


def _tensors_digest(tensors: dict[str, Tensor], metadata: dict[str, str]) -> str:
    digest = hashlib.blake2b(repr(sorted(metadata.items())).encode(), digest_size=16)
    for name, value in sorted(tensors.items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.numpy().tobytes())
    return digest.hexdigest()


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _require_unchanged(unchanged: bool, path: Path) -> None:
    if not unchanged:
        raise ReseenError(f"{path} is not as it was written; train it again")


def _error_number(text: str) -> int:
    """The system's error number in a message such as "... (os error 28)"."""
    digits = text.rpartition("os error ")[2].partition(")")[0]
    return int(digits) if digits.isdigit() else 0


def below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with a prefix and a point, by what follows."""
    start = f"{prefix}."
    return {
        name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)
    }


def load_weights(module: nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    """Put tensors into a module of the same names and shapes."""
    expected: dict[str, Any] = module.state_dict()
    for name in sorted(expected.keys() | tensors.keys()):
        wanted = tuple(expected[name].shape) if name in expected else None
        found = tuple(tensors[name].shape) if name in tensors else None
        if wanted != found:
            raise ReseenError(
                f"{path} does not fit this network: {name} is {found or 'missing'}, "
                f"expected {wanted or 'nothing of that name'}"
            )
    module.load_state_dict(tensors)
