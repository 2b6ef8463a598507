"""Data sets: for each, how its folder becomes a `Benchmark`."""

import difflib
from collections.abc import Callable
from pathlib import Path

from reseen.data.datasets import folder, ilids_vid, mars, prid2011
from reseen.data.tracklet import Benchmark
from reseen.errors import ReseenError

DATASETS: dict[str, Callable[[Path], Benchmark]] = {
    "prid2011": prid2011.load,
    "prid2011-178": prid2011.load_178,
    "ilids-vid": ilids_vid.load,
    "mars": mars.load,
    "folder": folder.load,
}


def known_dataset(dataset: str) -> None:
    """Check that there is a data set of this name.

    Raises:
        ReseenError: there is none; names the nearest one.
    """
    if dataset not in DATASETS:
        near = difflib.get_close_matches(dataset.lower(), DATASETS, n=1, cutoff=0.0)
        raise ReseenError(
            f'no data set is called "{dataset}"; did you mean "{near[0]}"? '
            f"There are {', '.join(DATASETS)}"
        )


def load(dataset: str, root: Path) -> Benchmark:
    """Read the data set called `dataset` from the folder `root`.

    Raises:
        ReseenError: there is no such data set, or the folder does not hold it.
    """
    known_dataset(dataset)
    return DATASETS[dataset](root)
