"""People seen from the ground and from the air: AG-VPReID (CVPR 2025), G2A-VReID (ECCV 2024)."""

import re
from collections.abc import Iterator
from pathlib import Path

from reseen.data.datasets.common import Counts, published_split
from reseen.data.datasets.mars import tracklets_and_queries
from reseen.data.layout import entries, enumerate_names, folder_with, is_picture
from reseen.data.tracklet import Benchmark, BenchmarkTracklet, Split
from reseen.errors import ReseenError

CASES = ("case1_aerial_to_ground", "case2_ground_to_aerial")
AG_LAYOUT = (
    f"ROOT/train/<person>/<tracklet>/<frame>.jpg, ROOT/{CASES[0]}/query and gallery, "
    f"ROOT/{CASES[1]}/query and gallery"
)
G2A_LAYOUT = "ROOT/bbox_train, ROOT/bbox_test and ROOT/info, with the tables of MARS"

AG_CAMERA = re.compile(r"C([0-5])(?=\D)")
"""C0 and C1 are fixed, C2 and C3 worn, C4 and C5 fly: P0001T230811A1C2E1K1F001.jpg."""
G2A_COUNTS: Counts = {"people": 2788, "tracklets": 5576, "frames": 185907, "cameras": 2}
"""Of its first version."""


def load_ag_vpreid(root: Path) -> Benchmark:
    """Read AG-VPReID: trial 0 searches the ground for people seen from the air, trial 1 the air."""
    home = folder_with(root, ("train", *CASES), ("AG-VPReID",), AG_LAYOUT)
    parts = ["train", *(f"{case}/{part}" for case in CASES for part in ("query", "gallery"))]
    found = {part: list(_tracklets_below(home, part)) for part in parts}
    for part, below in found.items():
        if not below:
            raise ReseenError(f"no picture in {home / part}; expected AG-VPReID as {AG_LAYOUT}")
    numbers = enumerate_names(name for part in found.values() for name, *_ in part)
    tracklets: list[BenchmarkTracklet] = []
    places: dict[str, tuple[int, ...]] = {}
    for part, below in found.items():
        places[part] = tuple(range(len(tracklets), len(tracklets) + len(below)))
        for person, camera, folder, files in below:
            name = folder.relative_to(home).as_posix()
            tracklets.append(BenchmarkTracklet(name, numbers[person], camera, folder, files))
    splits = tuple(
        Split(places["train"], places[f"{case}/query"], places[f"{case}/gallery"]) for case in CASES
    )
    return Benchmark("ag-vpreid", tuple(tracklets), splits)


def _tracklets_below(home: Path, part: str) -> Iterator[tuple[str, int, Path, tuple[str, ...]]]:
    """Person, camera (1 and up), folder and files of each tracklet."""
    for person in entries(home / part)[0]:
        for tracklet in entries(home / part / person)[0]:
            folder = home / part / person / tracklet
            files = tuple(filter(is_picture, entries(folder)[1]))
            cameras = {match[1] if (match := AG_CAMERA.search(file)) else "none" for file in files}
            if files and (len(cameras) != 1 or "none" in cameras):
                raise ReseenError(
                    f"the pictures in {folder} name the cameras {', '.join(sorted(cameras))}; "
                    "expected one of C0 to C5, the same in every name"
                )
            if files:
                yield person, 1 + int(min(cameras)), folder, files


def load_g2a_vreid(root: Path) -> Benchmark:
    """Read G2A-VReID by its tables; the gallery is every test tracklet that is no query."""
    home = folder_with(root, ("bbox_train", "bbox_test", "info"), ("G2A-VReID",), G2A_LAYOUT)
    train, test, query = tracklets_and_queries(home)
    split = published_split(len(train), len(test), [place - len(train) for place in query])
    return Benchmark("g2a-vreid", (*train, *test), (split,))
