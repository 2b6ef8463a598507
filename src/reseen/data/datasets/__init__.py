"""Data sets: for each, everything that reseen knows of it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from reseen.data.datasets import aerial, folder, ls_vid, mars, mevid, two_cameras
from reseen.data.datasets.common import Fact, Published, count_people
from reseen.data.tracklet import Benchmark
from reseen.errors import ReseenError, nearest


@dataclass(frozen=True)
class DataSet:
    """What reseen knows of a data set.

    Attributes:
        load: how its folder becomes a `Benchmark`.
        count: its counts, published ones beside those found in a folder.
        picture_size: height and width in pixels, where they are the same throughout.
        protocol: what its own evaluation searches, a key of `reseen.evaluation.protocol`.
        published: the numbers that the paper prints for it.
        has_oddities: whether lone frames, gaps and people of one camera belong to it.
    """

    load: Callable[[Path], Benchmark]
    count: Callable[[Path, Benchmark], tuple[Fact, ...]] = count_people
    picture_size: tuple[int, int] | None = None
    protocol: str = "cross-camera"
    published: Published | None = None
    has_oddities: bool = False


PRID = DataSet(
    two_cameras.load_prid2011,
    two_cameras.count_prid2011,
    picture_size=(128, 64),
    published=two_cameras.PRID_PUBLISHED,
)
DATASETS = {
    "prid2011": PRID,
    "prid2011-178": replace(
        PRID, load=two_cameras.load_prid2011_178, count=two_cameras.count_prid2011_178
    ),
    "ilids-vid": DataSet(
        two_cameras.load_ilids_vid,
        two_cameras.count_ilids_vid,
        picture_size=(128, 64),
        published=two_cameras.ILIDS_PUBLISHED,
    ),
    "mars": DataSet(
        mars.load,
        mars.count,
        picture_size=(256, 128),
        protocol="mars-official",
        published=mars.PUBLISHED,
        has_oddities=True,
    ),
    "ls-vid": DataSet(ls_vid.load, ls_vid.count, has_oddities=True),
    "mevid": DataSet(mevid.load, mevid.count, has_oddities=True),
    "ag-vpreid": DataSet(aerial.load_ag_vpreid, has_oddities=True),
    "g2a-vreid": DataSet(aerial.load_g2a_vreid, aerial.count_g2a_vreid, has_oddities=True),
    "folder": DataSet(folder.load),
}


def known_dataset(name: str) -> DataSet:
    """What is known of the data set of this name."""
    if name not in DATASETS:
        raise ReseenError(f"there is no data set {name!r}{nearest(name, DATASETS)}")
    return DATASETS[name]


def load(dataset: str, root: str | Path, layout: str | None = None) -> Benchmark:
    """Read the data set called `dataset` from the folder `root`.

    Args:
        dataset: a key of `DATASETS`.
        root: its folder.
        layout: one of `folder.LAYOUTS`, for the data set "folder" only.

    Raises:
        ReseenError: there is no such data set, or the folder does not hold it.
    """
    known, root = known_dataset(dataset), Path(root)
    if layout is None:
        return known.load(root)
    if dataset != "folder":
        raise ReseenError(f"{dataset} has a layout of its own; --layout is for folder only")
    return folder.load(root, layout)
