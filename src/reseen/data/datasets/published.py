"""Published splits of PRID-2011 and iLIDS-VID: ten random halves that papers share.

They travel as MATLAB files in the archive of iLIDS-VID, or as JSON files that later toolboxes
made from these.
"""

from collections.abc import Sequence
from pathlib import Path

from reseen.data.datasets.matlab import read_table
from reseen.errors import ReseenError
from reseen.files import read_json

FOLDERS = (".", "..", "train-test people splits", "../train-test people splits")
"""Where a split file may lie, seen from the folder that the data set was found in."""


def find_split_file(folder: Path, names: Sequence[str]) -> Path | None:
    """The first of the files `names` in one of `FOLDERS`; None where there is none."""
    places = (folder / place / name for name in names for place in FOLDERS)
    return next((place.resolve() for place in places if place.is_file()), None)


def read_split_file(path: Path, people: Sequence[str]) -> list[set[str]]:
    """Read who trains in each published trial; everyone else is scored.

    Args:
        path: a `.json` file, a list of {"train": names, "test": names}; or a `.mat` file whose
            `ls_set`, shape (trials, people), holds 1-based positions in `people`: the first
            half of a row is scored, the second half trained on.
        people: the names of all people that were divided, sorted.

    Raises:
        ReseenError: the file cannot be read or divides other people.
    """
    halves = _json_halves(path) if path.suffix == ".json" else _matlab_halves(path, people)
    for train, test in halves:
        if train & test or train | test != set(people):
            raise ReseenError(
                f"{path} does not divide the {len(people)} people of this data set in two; "
                "a person's folder may be missing, or the file belongs to other data"
            )
    return [train for train, _ in halves]


def _json_halves(path: Path) -> list[tuple[set[str], set[str]]]:
    try:
        return [(set(trial["train"]), set(trial["test"])) for trial in read_json(path)]
    except (TypeError, KeyError) as error:
        raise ReseenError(f"{path} is no list of splits, each with train and test") from error


def _matlab_halves(path: Path, people: Sequence[str]) -> list[tuple[set[str], set[str]]]:
    rows = read_table(path, "ls_set")
    if rows.min() < 1 or rows.max() > len(people):
        raise ReseenError(f"{path} does not point at the {len(people)} people of this data set")
    half = rows.shape[1] // 2
    named = [[people[position - 1] for position in row] for row in rows]
    return [(set(row[half:]), set(row[:half])) for row in named]
