"""Everything about a training that can be set, as dataclasses, and their TOML form."""

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, Self, get_args, get_origin, get_type_hints

import tomli_w

from reseen.data.clip_config import ClipConfig, require_positive
from reseen.errors import ReseenError, nearest
from reseen.files import read_text

PresetName = Literal["paper", "quick", "tuned", "mclaughlin", "modern"]
PRESETS: tuple[str, ...] = get_args(PresetName)


@dataclass(frozen=True)
class NetworkConfig:
    """The network of sections 2.2-2.5; the defaults are the paper's."""

    activation: Literal["relu", "tanh"] = "relu"
    """After each pooling and in eq. (4); the baseline has tanh."""

    recurrent_input: Literal["own", "identity-first", "tied", "separate"] = "own"
    """W_i of eq. (3): a matrix of its own, one that starts as the identity, the identity for good,
    or a second projection from the CNN."""

    dropout: float = 0.6
    """Share of the flattened CNN output set to zero before the projection to f(t)."""

    recurrent_dropout: float = 0.6
    """Share of r(t-1) set to zero in eq. (3) while training."""

    learned_start: bool = False
    """Learn r(0), which the paper leaves open; zeros otherwise."""

    def __post_init__(self) -> None:
        _require_share("network.dropout", self.dropout)
        _require_share("network.recurrent_dropout", self.recurrent_dropout)


@dataclass(frozen=True)
class LossConfig:
    """Equations (7)-(9)."""

    siamese: Literal["literal", "hadsell", "hinge"] = "literal"
    """Reading of eq. (7): as printed, on the distance itself, or the baseline's hinge."""

    margin: float = 2.0
    """Alpha of eq. (7)."""

    feature: Literal["spatial", "temporal", "fused"] = "fused"
    """The feature that the loss is computed on; the baseline has temporal."""

    negatives: Literal["all", "hardest"] = "all"
    """Sampler pk: which pairs of different people count: all, or each clip's nearest alone."""

    siamese_weight: float = 1.0
    """W_1 of eq. (9)."""

    softmax_weight: float = 1.0
    """W_2 and W_3 of eq. (9)."""

    def __post_init__(self) -> None:
        require_positive("loss.margin", self.margin)


@dataclass(frozen=True)
class OptimiserConfig:
    """How the weights move. Torch7's SGD has dampening = momentum, hence the default."""

    name: Literal["sgd", "adam"] = "sgd"
    """The rule by which weights follow their gradients."""

    learning_rate: float = 1e-3
    """Size of a step."""

    fall: float = 0.0
    """Share of the updates, the last ones, in which the learning rate falls to zero."""

    momentum: float = 0.9
    """SGD only."""

    dampening: float = 0.9
    """SGD only: v becomes momentum * v + (1 - dampening) * gradient."""

    clamp: float = 5.0
    """Each element of the gradient is clamped to this size."""

    def __post_init__(self) -> None:
        require_positive("optimiser.learning_rate", self.learning_rate)
        require_positive("optimiser.clamp", self.clamp)
        if not 0 <= self.fall <= 1:
            raise ReseenError(f"optimiser.fall must be at least 0 and at most 1, not {self.fall}")


@dataclass(frozen=True)
class TrainConfig:
    """The budget, and which clips a step sees."""

    updates: int = 200_000
    """Steps of the optimiser."""

    sampler: Literal["pairs", "pk"] = "pairs"
    """What a step sees: single pairs (paper), or clips of several people, each pairing with all."""

    pairs: int = 1
    """Sampler pairs: pairs of clips a step, half of them positive; with 1 the steps alternate."""

    people: int = 8
    """Sampler pk: people in a step, P."""

    clips: int = 4
    """Sampler pk: clips of each of them, K, from two cameras at least."""

    initial: Literal["random", "lda"] = "random"
    """Weights to begin with. lda, for a trunk's vectors: f of eq. (1) is what Fisher's
    discriminants make of them, W_i = 1, W_s = 0; the fused feature begins as twice their mean."""

    keep: Literal["last", "best"] = "last"
    """Which weights become the run's: the last, or those that find most of the people held out."""

    held_out: float = 0.2
    """Share of the training people kept from the networks, to learn eq. (10)'s weights on and to
    choose the best weights by; nobody where neither is asked for."""

    def __post_init__(self) -> None:
        for name in ("updates", "pairs", "people", "clips"):
            require_positive(f"train.{name}", getattr(self, name))
        if self.sampler == "pk" and (self.people < 2 or self.clips < 2):
            raise ReseenError(
                f"train.people = {self.people} and train.clips = {self.clips} leave a step without "
                "a positive or a negative pair; both must be 2 or more"
            )
        _require_share("train.held_out", self.held_out)

    @property
    def clips_a_step(self) -> int:
        """Clips that the network sees in one update."""
        return 2 * self.pairs if self.sampler == "pairs" else self.people * self.clips

    @property
    def pairs_a_step(self) -> int:
        """Pairs that eq. (7) counts in one update."""
        clips = self.clips_a_step
        return self.pairs if self.sampler == "pairs" else clips * (clips - 1) // 2


@dataclass(frozen=True)
class EvaluationConfig:
    """How tracklets are turned into features when scoring (section 3.2)."""

    augmentations: Literal[1, 16] = 16
    """Test-time augmentation by 8 diagonal crops and mirrors, distances summed; 1: none."""

    tail: Literal["drop", "loop"] = "drop"
    """Frames left over after the last whole clip: not used, or looped to a clip."""

    length: Literal["own", "unit"] = "own"
    """Features as the network gives them, or scaled to length 1: then their angle is compared."""


@dataclass(frozen=True)
class Config:
    """All settings of a training."""

    network: NetworkConfig = field(default_factory=NetworkConfig)
    clips: ClipConfig = field(default_factory=ClipConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)

    @classmethod
    def preset(cls, name: str) -> Self:
        """The settings of a named preset."""
        if name not in PRESETS:
            raise ReseenError(f"there is no preset {name!r}{nearest(name, PRESETS)}")
        text = (files("reseen.network") / "presets" / f"{name}.toml").read_text(encoding="utf-8")
        return cls.from_mapping(tomllib.loads(text), f"preset {name}")

    @classmethod
    def load(cls, path: Path, base: Self | None = None) -> Self:
        """Read a TOML file over the settings of `base` (default: the paper's)."""
        try:
            values = tomllib.loads(read_text(path))
        except (ValueError, RecursionError) as error:
            raise ReseenError(f"{path} is not TOML: {error}") from error
        return cls.from_mapping(values, str(path), base)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], where: str, base: Self | None = None) -> Self:
        """Settings from nested mappings over those of `base`.

        Args:
            values: `{"train": {"updates": 100}}`.
            where: what the values come from, for messages.
            base: settings that `values` leaves alone.
        """
        merged: Self = _merge(base if base is not None else cls(), values, where, "")
        return merged

    def to_toml(self) -> str:
        """All settings as TOML."""
        return tomli_w.dumps(asdict(self))


FORMER = {"evaluation.views": "augmentations"}
"""Settings by the names that runs of earlier versions hold, and what they are called now."""


def _merge(old: Any, values: Mapping[str, Any], where: str, prefix: str) -> Any:
    """A copy of the dataclass `old` with some values replaced, each checked."""
    known = {item.name: getattr(old, item.name) for item in fields(old)}
    hints = get_type_hints(type(old))
    for key, value in values.items():
        name = f"{prefix}{key}"
        key = FORMER.get(name, key)
        if key not in known:
            near = nearest(key, known, prefix)
            raise ReseenError(f"{where}: unknown setting {name!r}{near}")
        if is_dataclass(hints[key]):
            if not isinstance(value, Mapping):
                raise ReseenError(f"{where}: {name} must be a table, not {value!r}")
            known[key] = _merge(known[key], value, where, f"{name}.")
        else:
            known[key] = _checked(value, hints[key], f"{where}: {name}")
    return type(old)(**known)


LARGEST = 1e300
"""More than any setting is, and less than the largest float."""

_KINDS = {int: "a whole number", float: "a number", bool: "true or false"}


def _checked(value: Any, kind: Any, where: str) -> Any:
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            choices = ", ".join(map(str, get_args(kind)))
            raise ReseenError(f"{where} must be one of {choices}, not {value!r}")
        return value
    if kind is float and type(value) is int and abs(value) < LARGEST:
        return float(value)
    if type(value) is not kind:
        raise ReseenError(f"{where} must be {_KINDS[kind]}, not {value!r}")
    return value


def _require_share(name: str, value: float) -> None:
    if not 0 <= value < 1:
        raise ReseenError(f"{name} must be at least 0 and below 1, not {value}")
