"""Data sets: for each, everything that reseen knows of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from reseen.data.datasets import aerial, folder, ls_vid, mars, mevid, two_cameras
from reseen.data.datasets.common import Counts, Published, counted
from reseen.data.tracklet import Benchmark
from reseen.errors import ReseenError, nearest
from reseen.files import Fact

ANY = (
    *("people", "cameras", "tracklets", "frames", "frames in a tracklet", "splits"),
    "people in training/scoring",
)
"""What is counted of people of whom nothing is published."""


@dataclass(frozen=True)
class DataSet:
    """What reseen knows of a data set.

    Attributes:
        load: how its folder becomes a `Benchmark`.
        counts: what is counted in it, with the published values; None where nothing is published.
        found: counts of its own, beside those of `counted`.
        picture_size: height and width in pixels, where they are the same throughout.
        protocol: what its own evaluation searches, a key of `reseen.evaluation.protocol`.
        published: the numbers that the paper prints for it.
        has_oddities: whether lone frames, gaps and people of one camera belong to it.
    """

    load: Callable[[Path], Benchmark]
    counts: Mapping[str, int | str | None] = field(default_factory=lambda: dict.fromkeys(ANY))
    found: Callable[[Path, Benchmark], Counts] = lambda _root, _benchmark: {}
    picture_size: tuple[int, int] | None = None
    protocol: str = "cross-camera"
    published: Published | None = None
    has_oddities: bool = False

    def count(self, root: Path, benchmark: Benchmark) -> tuple[Fact, ...]:
        """Its counts, published ones beside those found in a folder."""
        found = counted(benchmark) | self.found(root, benchmark)
        return tuple(Fact(name, expected, found[name]) for name, expected in self.counts.items())


PRID = DataSet(
    two_cameras.load_prid2011,
    two_cameras.PRID_COUNTS,
    two_cameras.count_prid,
    picture_size=(128, 64),
    published=two_cameras.PRID_PUBLISHED,
)
DATASETS = {
    "prid2011": PRID,
    "prid2011-178": replace(
        PRID, load=two_cameras.load_prid2011_178, counts=two_cameras.PRID_178_COUNTS
    ),
    "ilids-vid": DataSet(
        two_cameras.load_ilids_vid,
        two_cameras.ILIDS_COUNTS,
        two_cameras.count_ilids,
        picture_size=(128, 64),
        published=two_cameras.ILIDS_PUBLISHED,
    ),
    "mars": DataSet(
        mars.load,
        mars.COUNTS,
        mars.count,
        picture_size=(256, 128),
        protocol="mars-official",
        published=mars.PUBLISHED,
        has_oddities=True,
    ),
    "ls-vid": DataSet(ls_vid.load, ls_vid.COUNTS, has_oddities=True),
    "mevid": DataSet(mevid.load, mevid.COUNTS, has_oddities=True),
    "ag-vpreid": DataSet(aerial.load_ag_vpreid, has_oddities=True),
    "g2a-vreid": DataSet(aerial.load_g2a_vreid, aerial.G2A_COUNTS, has_oddities=True),
    "folder": DataSet(folder.load),
}


def known_dataset(name: str) -> DataSet:
    """What is known of the data set of this name."""
    if name not in DATASETS:
        raise ReseenError(f"there is no data set {name!r}{nearest(name, DATASETS)}")
    return DATASETS[name]


def load(dataset: str, root: str | Path, layout: str | None = None) -> Benchmark:
    """Read the data set called `dataset`, a key of `DATASETS`, from the folder `root`.

    The data set "folder" has a layout, one of `folder.LAYOUTS`.

    Raises:
        ReseenError: there is no such data set, or the folder does not hold it.
    """
    known, root = known_dataset(dataset), Path(root)
    if layout is None:
        return known.load(root)
    if dataset != "folder":
        raise ReseenError(f"{dataset} has a layout of its own; --layout is for folder only")
    return folder.load(root, layout)
