"""The commands about the program itself: presets, doctor."""

import re
import shutil
import tempfile
from collections.abc import Callable
from importlib import metadata
from importlib.resources import files
from pathlib import Path

from reseen.errors import ReseenError
from reseen.network.config import PRESETS, Config

LEAST_FREE = 2e9
"""Bytes; a store of a hundred people takes about as much."""


def version() -> str:
    """What a result depends on, in one line."""
    from platform import python_version

    import torch

    from reseen.network.embed import best_device

    return (
        f"reseen {metadata.version('reseen')}, Python {python_version()}, "
        f"torch {torch.__version__}, device {best_device()}"
    )


def presets(name: str | None = None) -> None:
    """List the presets, or show all settings of one.

    Args:
        name: Print this one as TOML, to be changed and given to --config.
    """
    if name is not None:
        print(Config.preset(name).to_toml(), end="")
        return
    for preset in PRESETS:
        text = (files("reseen.network") / "presets" / f"{preset}.toml").read_text(encoding="utf-8")
        remarks = [line.removeprefix("#") for line in text.partition("[")[0].splitlines()]
        print(f"{preset}:{''.join(remarks)}")


def doctor() -> int:
    """Check that what reseen stands on works here, a line for each thing.

    Ends with 0 when all is well, with 1 when something is scarce, with 2 when something is broken.
    """
    worst = 0
    for name, examine in EXAMINATIONS.items():
        try:
            rank, found = 0, examine()
        except _ScarceError as error:
            rank, found = 1, str(error)
        except Exception as error:  # whatever is broken, and however, is what is asked for
            rank, found = 2, f"{type(error).__name__}: {error}"
        print(f"{('ok', 'scarce', 'broken')[rank]:8}{name}: {found}")
        worst = max(worst, rank)
    return worst


class _ScarceError(Exception):
    """Something works, but not for long."""


def _packages() -> str:
    """Every package of the base install, and those of the extras that are there."""
    needed = metadata.requires("reseen") or ()
    names = {re.split(r"[^\w.-]", line)[0]: "extra ==" in line for line in needed}
    found = {name: _version_of(name) for name in names}
    missing = [name for name, optional in names.items() if not optional and found[name] is None]
    if missing:
        raise ReseenError(f"{', '.join(missing)} not installed; install reseen again")
    return ", ".join(f"{name} {version}" for name, version in found.items() if version)


def _version_of(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _torch() -> str:
    import torch

    from reseen.network.embed import best_device

    device = best_device()
    (torch.ones(8, 8, device=device) @ torch.ones(8, device=device)).sum().item()
    name = (
        torch.cuda.get_device_name()
        if device.type == "cuda"
        else f"{torch.get_num_threads()} threads"
    )
    return f"{device}, {name}"


def _onnx() -> str:
    import onnxruntime

    return ", ".join(onnxruntime.get_available_providers())


def _opencv() -> str:
    import cv2

    cv2.HOGDescriptor.getDefaultPeopleDetector()
    cv2.DISOpticalFlow.create()
    return f"{cv2.__version__}, with its people detector and DIS flow"


def _codecs() -> str:
    """Write and read a film and pictures of each kind that reseen writes."""
    import cv2
    import numpy as np

    picture = np.zeros((64, 64, 3), np.uint8)
    for kind in (".jpg", ".png"):
        if cv2.imdecode(cv2.imencode(kind, picture)[1], cv2.IMREAD_COLOR) is None:
            raise ReseenError(f"{kind} pictures cannot be read")
    with tempfile.TemporaryDirectory() as folder:
        film = f"{folder}/film.mp4"
        writer = cv2.VideoWriter(film, cv2.VideoWriter.fourcc(*"mp4v"), 25, (64, 64))
        writer.write(picture)
        writer.release()
        reader = cv2.VideoCapture(film)
        if not reader.read()[0]:
            raise ReseenError("MP4 films cannot be read")
        return f"JPEG, PNG, MP4 through {reader.getBackendName()}"


def _models() -> str:
    """Which network files are here, each of the size that the catalogue says."""
    from reseen.models.catalogue import catalogue

    here = [entry for entry in catalogue().values() if entry.path.is_file()]
    cut = [entry.name for entry in here if entry.path.stat().st_size != entry.bytes]
    if cut:
        raise ReseenError(f"{', '.join(cut)} cut off; see reseen models verify")
    return ", ".join(entry.name for entry in here) or "none here; see reseen models list"


def _room_in(folder: Path) -> str:
    """Whether a folder can be written to, and how much."""
    with tempfile.TemporaryFile(dir=folder):
        free = shutil.disk_usage(folder).free
    found = f"{folder.resolve()} can be written to, {free / 1e9:,.1f} GB are free"
    if free < LEAST_FREE:
        raise _ScarceError(found)
    return found


EXAMINATIONS: dict[str, Callable[[], str]] = {
    "program": version,
    "packages": _packages,
    "torch": _torch,
    "ONNX": _onnx,
    "OpenCV": _opencv,
    "codecs": _codecs,
    "models": _models,
    "this folder": lambda: _room_in(Path()),
    "folder for short-lived files": lambda: _room_in(Path(tempfile.gettempdir())),
}
