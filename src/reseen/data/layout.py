"""Reading folders of pictures: which entries count, and in which order."""

import os
import re
from collections.abc import Iterable, Sequence
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from reseen.errors import ReseenError
from reseen.files import read_file

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})
"""File name endings, in lower case, that make a file a picture."""

LAST_NUMBER = re.compile(r"(\d+)\D*(?:\.[^.]*)?$")
"""The last number in a file name, its ending aside."""

TIME_NAME = re.compile(
    r"(?P<whole>\d+|\d{4}-?\d\d-?\d\d[T_ ]?\d\d[:.-]?\d\d[:.-]?\d\d)"
    r"(?:[.,](?P<fraction>\d+))?Z?(?:\.[A-Za-z]\w*)?"
)
"""Seconds, or an ISO date and time, each with or without a decimal fraction and an ending."""


def entries(folder: Path) -> tuple[list[str], list[str]]:
    """Names of the subfolders and of the files of `folder`, in natural order.

    Hidden entries, whose names start with a dot, are left out.
    """
    try:
        with os.scandir(folder) as listing:
            seen = [(entry.name, entry.is_dir()) for entry in listing if entry.name[0] != "."]
    except OSError as error:
        raise ReseenError(f"cannot read the folder {folder}: {error.strerror}") from error
    folders = natural_sorted(name for name, is_folder in seen if is_folder)
    files = natural_sorted(name for name, is_folder in seen if not is_folder)
    return folders, files


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key under which "2.png" comes before "10.png".

    Digits compare as numbers; a number sorts before text, as in file managers.
    """
    parts = re.findall(r"\d+|\D+", name)
    return tuple((0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts)


def natural_sorted(names: Iterable[str]) -> list[str]:
    """Names in natural (numeric) order: the time order of frames.

    Where all names are times, the digits behind the point are a decimal fraction: 8.125, 8.25,
    8.5. Where two names would be the same time, 1.1 and 1.10, they are numbers after all.
    """
    names = list(names)
    times = times_of(names)
    return sorted(names, key=natural_key) if times is None else sorted(names, key=times.__getitem__)


def times_of(names: Sequence[str]) -> dict[str, tuple[Any, str]] | None:
    """Sort keys of names that are times, some with a decimal fraction; None of all others."""
    found = [TIME_NAME.fullmatch(name) for name in names]
    times = {
        match.string: (natural_key(match["whole"]), (match["fraction"] or "").rstrip("0"))
        for match in found
        if match
    }
    has_fraction = any(match and match["fraction"] for match in found)
    if None in found or not has_fraction or len(set(times.values())) < len(set(names)):
        return None
    return times


def is_picture(name: str) -> bool:
    """Whether a file of this name is taken for a picture."""
    return Path(name).suffix.lower() in PICTURE_SUFFIXES


def folder_with(root: Path, wanted: Sequence[str], below: Sequence[str], layout: str) -> Path:
    """Find the folder, `root` or one of the folders `below` it, that holds all those `wanted`.

    `layout` says in the message which folder tree was expected.
    """
    if not root.is_dir():
        raise ReseenError(f"{root} is not a folder; expected the data set as {layout}")
    places = [root, *(root / name for name in below)]
    for place in places:
        if all((place / name).is_dir() for name in wanted):
            return place
    looked = ", ".join(str(place) for place in places)
    missing = " and ".join(f"{name}/" for name in wanted)
    raise ReseenError(f"no {missing} in {looked}; expected the data set as {layout}")


def enumerate_names(names: Iterable[str]) -> dict[str, int]:
    """Number different names 1, 2, 3 … in natural order."""
    return {name: number for number, name in enumerate(natural_sorted(set(names)), start=1)}


def shortened(names: Sequence[str], shown: int = 3) -> str:
    """The first few names, with dots when there are more."""
    return ", ".join(names[:shown]) + (", …" if len(names) > shown else "")


def gaps(files: Sequence[str]) -> list[tuple[str, str]]:
    """Neighbours in a tracklet between whose numbers a frame is missing.

    A frame's number is the last one in its name. Where the numbers go up by more than one
    throughout, that step is taken for the rule. Names without a number have no gaps, nor have
    times with a fraction.
    """
    if times_of(files):
        return []
    found = [LAST_NUMBER.search(file) for file in files]
    numbers = [int(match[1]) for match in found if match]
    if len(numbers) < len(files):
        return []
    steps = [after - before for before, after in pairwise(numbers)]
    rule = min(steps, default=0)
    return [pair for pair, step in zip(pairwise(files), steps, strict=True) if step > rule]


def read_table(path: Path, key: str) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Read one table of whole numbers out of a MATLAB file, shape (rows, columns).

    The published tables are unsigned and 16 bits wide in part; here they are int64, so that
    subtracting 1 cannot wrap around.
    """
    import scipy.io

    try:
        try:
            stream = BytesIO(read_file(path))
            found = scipy.io.loadmat(stream, variable_names=[key]).get(key, [])
        except NotImplementedError:  # MATLAB 7.3 writes HDF5, with rows and columns exchanged
            import h5py

            with h5py.File(path) as file:
                found = np.array(file[key]).T if key in file else []
        numbers = np.atleast_2d(np.asarray(found).astype(np.int64))
    except ReseenError:
        raise
    except ImportError as error:
        raise ReseenError(f"{path} is of MATLAB 7.3; to read it, pip install h5py") from error
    except Exception as error:  # scipy raises many kinds for a file that is not what it claims
        raise ReseenError(f"{path} cannot be read as a MATLAB file: {error}") from error
    if numbers.size == 0:
        raise ReseenError(f"{path} has no table {key}")
    return numbers
