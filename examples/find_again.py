"""Two videos in, who appears in both out: python examples/find_again.py FIRST SECOND [MODEL]."""

import sys
from pathlib import Path

from reseen.data.tracked import tracklets_in
from reseen.gallery.extractors import open_extractor
from reseen.gallery.gallery import Gallery
from reseen.gallery.records import Filter
from reseen.tracking.track import track


def find_again(first: Path, second: Path, out: Path, model: str = "lite0") -> None:
    """Track both videos, then search the second for everybody in the first.

    Args:
        first, second: videos of two cameras.
        out: folder for tracklets and gallery.
        model: a run folder, an ONNX file, "lite0", or "stripes": colours only.
    """
    extractor = open_extractor(model)
    gallery = Gallery.open(out / "gallery", create=True)
    for camera, video in {"first": first, "second": second}.items():
        track(video, camera, out / camera)
        gallery.add(tracklets_in(out / camera), [extractor])
    for entry in gallery.entries(Filter(camera="first")):
        print(entry.id)
        query = gallery.query(entry.id, extractor.model_id)
        for match in gallery.search(query, 3, Filter(camera="second")):
            print(f"  {match.distance:.3f}  {match.entry.id}  from {match.entry.start:.1f} s")


if __name__ == "__main__":
    find_again(Path(sys.argv[1]), Path(sys.argv[2]), Path("found"), *sys.argv[3:4])
