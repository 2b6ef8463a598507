"""Options that several commands share, each declared and explained once."""

import os
from collections.abc import Sequence
from dataclasses import asdict, is_dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter, Token

from reseen.errors import ReseenError
from reseen.files import read_text, require_place, write_json
from reseen.network.config import Config, PresetName
from reseen.times import read

if TYPE_CHECKING:
    from reseen.parallel import Spread


def secret(file: Path | None, variable: str) -> str | None:
    """Something secret from a file's first line, else from the environment; None from neither.

    What stands on the command line can be read by every user of the machine.
    """
    if file is None:
        return os.environ.get(variable) or None
    first = read_text(file).partition("\n")[0].strip()
    if not first:
        raise ReseenError(f"the first line of {file} is empty; write the secret there")
    return first


def within(least: float, most: float = float("inf"), *, above: bool = False) -> Parameter:
    """A number's range.

    Args:
        least: the least that is taken.
        most: the most that is taken, infinity not included.
        above: whether `least` itself is too little.
    """
    bounds = f"above {least:g}" if above else f"{least:g} or more"
    bounds += "" if most == float("inf") else f" and {most:g} at most"

    def check(_type: Any, value: float | None) -> None:
        if value is not None:
            fits = (least < value if above else least <= value) and value <= most
            if not fits or value == float("inf"):  # nothing compares with nan
                raise ValueError(f"It must be a number, {bounds}.")

    return Parameter(validator=check)


def _time(_type: Any, tokens: Sequence[Token]) -> float:
    return read(tokens[0].value)


def time_option(help_: str) -> Parameter:
    """A time in any form that `reseen.times` reads, as seconds."""
    return Parameter(converter=_time, help=help_, metavar="TIME")


def _place(_type: Any, path: Path | None) -> None:
    if path is not None:
        require_place(path)


def spread(workers: int | None, ray: str | None, gpus: float) -> "Spread":
    """What shares work out: among processes of this machine, or the machines of a Ray cluster."""
    from reseen.cluster import unordered_on_ray
    from reseen.parallel import unordered

    if ray is None:
        return partial(unordered, processes=workers)
    return partial(unordered_on_ray, address=ray, gpus=gpus)


def save_result(file: Path | None, result: Any) -> None:
    """Write what a command found as JSON, where a file for it is named."""
    if file is not None:
        plain = asdict(result) if is_dataclass(result) and not isinstance(result, type) else result
        write_json(file, plain)


Dataset = Annotated[
    str, Parameter(help="mars or the like; folder for your own; a wrong name is told all names.")
]
Layout = Annotated[
    Literal["person/camera", "camera/person"] | None,
    Parameter(help="Which folders lie in which, for folder; person/camera unless said."),
]
DatasetRoot = Annotated[Path, Parameter(help="The data set's folder.")]
Store = Annotated[Path, Parameter(help="What `reseen prepare` made.")]
RunFolder = Annotated[Path, Parameter(help="What `reseen train` made.")]
GalleryPlace = Annotated[str, Parameter(help="The gallery's folder or object-store URL.")]
Extractor = Annotated[
    str | None,
    Parameter(
        help="What embeds: lite0, another trunk of `reseen models list`, an ONNX file, a run "
        "folder or stripes (colours only). By default what made the gallery's embeddings, or the "
        "best that is here."
    ),
]
Style = Annotated[
    str | None,
    Parameter(help="How an ONNX file wants its crops, where that cannot be told: imagenet, raw, …"),
]
Result = Parameter(validator=_place)
"""A file for what may take long to find: a place where none can be written is refused at once."""

Json = Annotated[Path | None, Result, Parameter(help="JSON file for the result.")]

RayCluster = Annotated[
    str | None,
    Parameter(
        name="--ray",
        help="Share the work among the machines of a Ray cluster: HOST:PORT, auto for this "
        "machine's, local for one that ends with the work. All must see the same paths.",
    ),
]
Gpus = Annotated[
    float, within(0), Parameter(help="GPUs, or the share of one, that each task on Ray takes.")
]

Camera = Annotated[str | None, Parameter(help="Only this camera.")]
Since = Annotated[
    float | None,
    time_option(
        "Only from then on: 2026-05-01 12:00, local unless +02:00 or the like follows, or hours, "
        "minutes and seconds into the recording, 0:02:05.4."
    ),
]
Until = Annotated[float | None, time_option("Only up to then.")]

Preset = Annotated[PresetName, Parameter(help="Settings to start from.")]
ConfigFile = Annotated[
    Path | None, Parameter(help="TOML file with settings that replace the preset's.")
]
Updates = Annotated[
    int | None, within(0), Parameter(help="Steps of the optimiser for each network.")
]
Seed = Annotated[int, within(0), Parameter(help="Every random number follows from it.")]
Settings = Annotated[Config | None, Parameter(name="*")]
