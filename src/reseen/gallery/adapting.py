"""Adapting a gallery's embeddings to its own cameras, without labels or with those of its pages.

Each camera's mean is taken off, and what varies within tracklets, which is pose, light and
background, counts less; so does what differs between tracklets that people labelled as one person.
LDA of labelled tracklets' means was measured beside that and is behind: rank-1 55 against 66 with
100 people labelled, 61 against 67 with 150 (CUHK03, 200 others searched).

Networks that were trained for re-identification gain by camera means, not by whitening without
labels: OSNet x0.25 finds 60.2 % at rank 1 instead of 53.5, whitened 58.2 (three hundreds of
CUHK03's training people, both directions). With labels, whitening is ahead for it, too.
lite0 gains by both, and still does when `finetune` has taught it two thirds of those people: of the
others it finds 45.0 % with camera means off, 57.9 whitened as well.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from reseen.data.colour_histogram import FRAMES
from reseen.data.embeddings import Embeddings
from reseen.data.layout import is_picture, natural_sorted
from reseen.data.pictures import Picture, Pictures, evenly
from reseen.data.projections import Projection
from reseen.data.tracklet import BenchmarkTracklet
from reseen.errors import ReseenError
from reseen.evaluation.adaptation import (
    CameraMeans,
    self_trained_whitening,
    tracklet_whitening,
)
from reseen.files import locked
from reseen.gallery.calibration import calibrate_on_labels
from reseen.gallery.extractors import Extractor, Matrix, NetworkExtractor
from reseen.gallery.gallery import Gallery, matrix
from reseen.gallery.records import EVERYTHING, Entry, Filter
from reseen.gallery.settings import base_of, version_of
from reseen.gallery.table import VECTOR
from reseen.models.lite0 import is_lite0

FEWEST_CAMERAS, FEWEST_TRACKLETS, FEWEST_OF_A_CAMERA = 2, 40, 5
MOST_LOOKED_AT = 400
"""Tracklets whose crops are embedded one by one to learn what varies within a tracklet."""

MOST_PAIRED = 3_000
"""Tracklets among which pairs are sought: all are compared with all."""

FEWEST_LABELS = 10
"""Pairs labelled as one person: what fewer have in common may be chance."""

BATCH = 1_000


class _Kept(msgspec.Struct):
    """What a gallery's settings keep of an adaptation; `tensors` in the form of safetensors."""

    cameras: list[str]
    tracklets: int
    tensors: bytes
    self_trained: bool = False
    labelled: int = 0


@dataclass(frozen=True)
class Adaptation:
    """What was learned of a gallery's cameras for one model.

    Attributes:
        means: each camera's own.
        whitening: None where it does not help, or no tracklet's crops were there to learn it from.
        tracklets: of how many it was learned.
        self_trained: whether pairs across cameras were taken for one person.
        labelled: pairs that were labelled as one person then.
    """

    model: str
    means: CameraMeans
    whitening: Projection | None
    tracklets: int
    self_trained: bool = False
    labelled: int = 0

    @property
    def lacks_crops(self) -> bool:
        """Whether it would whiten, had crops been there."""
        wanted = _is_whitened(base_of(self.model), self.self_trained, self.labelled)
        return wanted and self.whitening is None

    def apply(self, embeddings: Matrix, cameras: Sequence[str]) -> Matrix:
        """Embeddings (M, D) of these cameras, adapted and of length 1; unknown cameras may be."""
        values = self.means.remove(embeddings, np.array(cameras, object))
        if self.whitening is not None:
            values = self.whitening.apply(values)
        lengths = np.linalg.norm(values, axis=1, keepdims=True)
        return np.asarray(values / np.maximum(lengths, 1e-12), np.float32)

    def save(self, gallery: Gallery) -> None:
        """Keep it in the gallery, for all who use it."""
        from safetensors.numpy import save

        cameras = list(self.means.own)
        tensors = {"overall": self.means.overall}
        tensors |= {f"camera {place}": self.means.own[one] for place, one in enumerate(cameras)}
        if self.whitening is not None:
            tensors |= {"mean": self.whitening.mean, "matrix": self.whitening.matrix}
        content = save({name: values.astype(np.float32) for name, values in tensors.items()})
        kept = _Kept(cameras, self.tracklets, content, self.self_trained, self.labelled)
        gallery.settings.set(f"adaptation {self.model}", kept)

    @classmethod
    def load(cls, gallery: Gallery, model: str) -> "Adaptation | None":
        """The one that a gallery's adapted embeddings were made with."""
        from safetensors.numpy import load

        kept = gallery.settings.get(f"adaptation {model}", _Kept)
        if kept is None:
            return None
        tensors = load(kept.tensors)
        own = {one: tensors[f"camera {place}"] for place, one in enumerate(kept.cameras)}
        whitening = Projection(tensors["mean"], tensors["matrix"]) if "mean" in tensors else None
        means = CameraMeans(tensors["overall"], own)
        return cls(model, means, whitening, kept.tracklets, kept.self_trained, kept.labelled)


def adapt(gallery: Gallery, extractor: NetworkExtractor, *, self_train: bool = False) -> Adaptation:
    """Learn a new version from the tracklets that are there, and convert their embeddings.

    Means and conversion need the embeddings only; whitening needs crops of up to 400 tracklets,
    where they still lie; pairs labelled as one person join in. Without these or `self_train` only
    lite0 is whitened, fine-tuned or not. The model's id tells the version.

    Args:
        self_train: whether to take surer pairs across cameras for one person, too: helps where
            cameras mostly see the same people.

    Raises:
        ReseenError: there is too little to learn from, or another process is adapting.
    """
    with locked(gallery.notes / "adapting"):
        adaptation = _learned(gallery, extractor, self_train)
        with gallery.unseen(adaptation.model):
            adaptation.save(gallery)
            convert(gallery, adaptation)
        return adaptation


def _learned(gallery: Gallery, extractor: NetworkExtractor, self_train: bool) -> Adaptation:
    """The next version; not kept yet."""
    base = extractor.model_id
    entries = gallery.entries(gallery.of_people(), base)
    seen = {entry.camera for entry in entries}
    if len(seen) < FEWEST_CAMERAS or len(entries) < FEWEST_TRACKLETS:
        raise ReseenError(
            f"adapting needs {FEWEST_TRACKLETS} tracklets of {FEWEST_CAMERAS} cameras, and the"
            f" gallery {gallery.uri} has {len(entries)} of {len(seen)} by {base}"
        )
    rows = gallery.embeddings(base)
    stored = dict(zip(rows["id"].to_pylist(), matrix(rows[VECTOR]), strict=True))
    entries = [entry for entry in entries if entry.id in stored]  # not forgotten meanwhile
    vectors = np.array([stored[entry.id] for entry in entries])
    cameras = np.array([entry.camera for entry in entries], object)
    means = CameraMeans.of(vectors, cameras, FEWEST_OF_A_CAMERA)
    labelled = _labelled(gallery, entries)
    whitening = None
    if _is_whitened(base, self_train, len(labelled)):
        whitening = _whitening(extractor, entries, means, vectors, labelled, self_train)
    return Adaptation(
        f"{base}.adapted-{_latest_version(gallery, base) + 1}",
        means,
        whitening,
        len(entries),
        self_train,
        len(labelled),
    )


def _is_whitened(model: str, self_train: bool, labelled: int) -> bool:
    return is_lite0(model) or self_train or labelled > 0


def keep_up(gallery: Gallery, extractor: NetworkExtractor) -> Adaptation | None:
    """Adapt what has come since, and learn anew where the gallery or its labels have doubled.

    Only lite0, which gains by it, fine-tuned or not, is adapted before anybody has asked for it.

    Returns:
        The adaptation; None where there is none.

    Raises:
        ReseenError: there is too little to learn from yet.
    """
    base, people = extractor.model_id, gallery.of_people()
    known = latest(gallery, base)
    if known is None:
        return adapt(gallery, extractor) if is_lite0(base) else None
    labels = len(_labelled(gallery, gallery.entries(people, base)))
    doubled = gallery.count(people, base) >= 2 * known.tracklets
    if doubled or labels >= max(2 * known.labelled, FEWEST_LABELS):
        return adapt(gallery, extractor, self_train=known.self_trained)
    convert(gallery, known)
    return known


def calibrate_anew(gallery: Gallery, adaptation: Adaptation) -> str:
    """Calibrate a version on labels where the one before it was calibrated.

    Returns:
        What the user should know about it, in a line; empty for nothing.
    """
    version, base = version_of(adaptation.model), base_of(adaptation.model)
    before = base if version == 1 else f"{base}.adapted-{version - 1}"
    known = gallery.settings.calibration
    if known(adaptation.model) is not None or known(before) is None:
        return ""
    try:
        pairs = gallery.labelled_pairs(adaptation.model)
        gallery.settings.keep_calibration(calibrate_on_labels(pairs, adaptation.model))
    except ReseenError:
        return f"{adaptation.model} has no calibration, {before} had: see reseen calibrate"
    return f"{adaptation.model} was calibrated on the gallery's labels, as {before} was before"


def convert(gallery: Gallery, adaptation: Adaptation, where: Filter = EVERYTHING) -> int:
    """Adapt the embeddings that have come since, or some of them; returns how many those are."""
    base, both = base_of(adaptation.model), list[set[str]]()
    for model in (base, adaptation.model):
        both.append({*gallery.columns(["id"], where, model)["id"].to_pylist()})
    new = sorted(both[0] - both[1])
    for start in range(0, len(new), BATCH):
        rows = gallery.embeddings(base, Filter(ids=tuple(new[start : start + BATCH])))
        adapted = adaptation.apply(matrix(rows[VECTOR]), rows["camera"].to_pylist())
        gallery.add_embeddings(adaptation.model, rows, adapted)
    return len(new)


def latest(gallery: Gallery, base: str, known: Adaptation | None = None) -> Adaptation | None:
    """The newest adaptation of a model; it is not read again where it is the known one."""
    version = _latest_version(gallery, base)
    if known is not None and known.model == f"{base}.adapted-{version}":
        return known
    return Adaptation.load(gallery, f"{base}.adapted-{version}") if version else None


def _latest_version(gallery: Gallery, base: str) -> int:
    versions = [version_of(model) for model in gallery.models() if base_of(model) == base]
    return max(versions, default=0)


def _labelled(gallery: Gallery, entries: Sequence[Entry]) -> NDArray[np.int64]:
    """Places (L, 2) of the pairs that are labelled as one person; none where these are too few."""
    places = {entry.id: place for place, entry in enumerate(entries)}
    pairs = [
        (places[label.query], places[label.match])
        for label in gallery.labels_on_people()
        if label.same and label.query in places and label.match in places
    ]
    return np.array(pairs if len(pairs) >= FEWEST_LABELS else (), np.int64).reshape(-1, 2)


def _whitening(
    extractor: NetworkExtractor,
    entries: Sequence[Entry],
    means: CameraMeans,
    vectors: Matrix,
    labelled: NDArray[np.int64],
    self_train: bool,
) -> Projection | None:
    """What varies within tracklets, from crops that are still there, and within pairs.

    Of the tracklets `entries` and their `vectors` (M, D), the `labelled` places (L, 2) are pairs of
    one person; `self_train` guesses more.
    """
    numbers, cameras, counts = list[Matrix](), list[str](), list[int]()
    chosen = np.linspace(0, len(entries) - 1, min(len(entries), MOST_LOOKED_AT)).round()
    for entry in (entries[int(place)] for place in chosen):
        crops = _crops(entry)
        if len(crops) > 1:
            numbers.append(extractor.vectors(evenly(crops, FRAMES)))
            cameras += [entry.camera] * len(numbers[-1])
            counts.append(len(numbers[-1]))
    if len(counts) < FEWEST_TRACKLETS:
        return None
    centred = means.remove(np.concatenate(numbers), np.array(cameras, object))
    whose = np.repeat(np.arange(len(counts)), counts)
    some = np.unique(labelled)
    if self_train:
        even = np.linspace(0, len(entries) - 1, min(len(entries), MOST_PAIRED)).round()
        some = np.union1d(even.astype(np.int64), labelled)
    seen = np.array([entries[place].camera for place in some], object)
    features, pairs = means.remove(vectors[some], seen), np.searchsorted(some, labelled)
    if self_train:
        return self_trained_whitening(centred, whose, features, seen, pairs)
    return tracklet_whitening(centred, whose, features, pairs)


def _crops(entry: Entry) -> Pictures:
    """The crops where they were when the tracklet was added; none where they have gone."""
    folder = Path(entry.crops or "")
    if not entry.crops or not folder.is_dir():
        return Pictures(())
    names = natural_sorted(file.name for file in folder.iterdir() if is_picture(file.name))
    return Pictures(tuple(folder / name for name in names))


class AdaptedExtractor:
    """An extractor for pictures that are searched with: their camera is not known.

    Attributes:
        plain: what embeds before that is adapted.
    """

    def __init__(self, extractor: NetworkExtractor, adaptation: Adaptation) -> None:
        self.plain, self.adaptation = extractor, adaptation
        self.model_id, self.note = adaptation.model, extractor.note
        whitening = adaptation.whitening
        self.dimensions = whitening.matrix.shape[1] if whitening else extractor.dimensions

    def embed(self, tracklets: Iterable[Sequence[Picture]]) -> Matrix:
        """Embeddings (M, D) of tracklets of an unknown camera."""
        embeddings = self.plain.embed(tracklets)
        return self.adaptation.apply(embeddings, [""] * len(embeddings))


def embed_benchmark(tracklets: Sequence[BenchmarkTracklet], extractor: Extractor) -> Embeddings:
    """Features of a data set's tracklets, to calibrate or score an extractor on.

    Of an adapted one, each camera loses its own mean, that of the data set's tracklets, as in the
    gallery.
    """
    adapted = extractor if isinstance(extractor, AdaptedExtractor) else None
    plain = extractor if adapted is None else adapted.plain
    features = plain.embed(Pictures(tuple(one.paths)) for one in tracklets)
    persons = np.array([one.person for one in tracklets], dtype=np.int64)
    cameras = np.array([one.camera for one in tracklets], dtype=np.int64)
    if adapted is not None:
        means = CameraMeans.of(features, cameras, FEWEST_OF_A_CAMERA)
        features = replace(adapted.adaptation, means=means).apply(features, cameras.tolist())
    return Embeddings(features, persons, cameras, tuple(one.name for one in tracklets))
