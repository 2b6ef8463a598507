"""Networks over single crops, from ONNX files: pictures to vectors of length 1."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from reseen.data.pictures import Picture
from reseen.errors import ReseenError
from reseen.models import lite0
from reseen.models.catalogue import best_trunk, catalogue, known, models_folder
from reseen.models.networks import (
    FREE_SIZE,
    STYLES,
    Style,
    first_line,
    named_style,
    open_session,
    read_graph,
    style_beside,
    style_by_shape,
)

Matrix = NDArray[np.float32]

BATCH = 32
TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}

MOST_BATCH_DIFFERENCE = 0.01
"""Of vectors of length 1: what float16 and other sums do to a crop that comes with others."""


BETTER = (
    "embedding with lite0, which was trained on ImageNet and on no people; reseen models get "
    "osnet-x0-25 brings a small network that was: rank-1 81 instead of 43 on the MARS sample"
)


class FrameNetwork:
    """A network that turns each crop into a vector.

    Attributes:
        model_id: says which file this is and how crops are given to it: vectors of two ids have
            nothing to do with each other.
        dimensions: the length D of a vector.
        note: what was guessed or would be better, for the user to see; may be empty.
        augmentations: how many of `augmented` a store keeps of each picture.
        unit: whether vectors are scaled to length 1.
    """

    augmentations, unit = 6, True

    def __init__(self, path: Path, style: str | None = None) -> None:
        """Open a file, find out what crops it wants and try it on a few.

        Args:
            path: the ONNX file.
            style: a name in `STYLES`. None reads a file beside the network, else knows the
                network by its SHA-256, else by its shapes.
        """
        self.path, self.note = path, ""
        self._session = open_session(path)
        self._read_input()
        self.dimensions = self._run(np.zeros((1, 3, *self.size), np.float32)).shape[1]
        digest, normalises = read_graph(path)
        self.style = self._find_style(style, digest, normalises)
        entry = known(digest)
        name = entry.name if entry else re.sub(r"[^A-Za-z0-9_-]+", "-", path.stem)[:40]
        self.model_id = f"{name}-{self.style.name}-{digest[:12]}"
        self._probe()

    def vectors(self, pictures: Iterable[Picture]) -> Matrix:
        """Vectors (N, D) of N pictures, of length 1, a batch at a time."""
        waiting = iter(pictures)
        found = [np.empty((0, self.dimensions), np.float32)]
        while batch := list(islice(waiting, self._most)):
            found.append(self._run(self._pixels(batch)))
        vectors: Matrix = np.concatenate(found)
        if not self.unit:
            return vectors
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit: Matrix = vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
        return unit

    def _read_input(self) -> None:
        picture, *others = self._session.get_inputs()
        shape = list(picture.shape)
        colours = len(shape) == 4 and (shape[1] == 3 or isinstance(shape[1], str))
        if others or picture.type not in TYPES or not colours:
            wanted = ", ".join(f"{one.name} {one.type} {one.shape}" for one in (picture, *others))
            raise ReseenError(
                f"{self.path} is no network over crops: it takes {wanted};"
                " one float picture (N, 3, H, W) is needed"
            )
        self._name, self._type = picture.name, TYPES[picture.type]
        self._fixed = shape[0] if isinstance(shape[0], int) else None
        self._most = self._fixed or BATCH
        height, width = (
            side if isinstance(side, int) else free
            for side, free in zip(shape[2:], FREE_SIZE, strict=True)
        )
        self.size = height, width

    def _find_style(self, name: str | None, digest: str, normalises: bool) -> Style:
        """The style asked for, else of a file beside the network, its entry, or its shapes."""
        entry = known(digest)
        if name is None:
            beside = style_beside(self.path, digest, self.size)
            if beside is not None:
                return beside
            name = entry.style if entry else None
        if name is None:
            name = style_by_shape(self.path, (*self.size, self.dimensions), normalises=normalises)
            self.note = f"{self.path}: by its shapes, crops are given in the style {name}"
        return named_style(name)

    def _pixels(self, pictures: Sequence[Picture]) -> Matrix:
        height, width = self.size
        pixels = np.empty((len(pictures), 3, height, width), np.float32)
        mean = np.array(self.style.mean, np.float32)
        for place, picture in enumerate(pictures):
            if self.style.padded:
                picture = _padded(picture, height / width, self.style.mean)
            crop = cv2.resize(picture, (width, height)).astype(np.float32) - mean
            pixels[place] = crop.transpose(2, 0, 1)
        pixels /= np.array(self.style.spread, np.float32)[:, None, None]
        return pixels[:, ::-1] if self.style.bgr else pixels

    def _run(self, pixels: Matrix) -> Matrix:
        """The network's only output for pixels (N, 3, H, W), N up to a batch, as (N, D)."""
        count = len(pixels)
        if self._fixed is not None:
            pixels = np.pad(pixels, ((0, self._fixed - count), *3 * [(0, 0)]))
        try:
            found = self._session.run(None, {self._name: pixels.astype(self._type)})
        except Exception as error:  # onnxruntime's exceptions share no other base
            raise ReseenError(f"{self.path} cannot be run on crops: {first_line(error)}") from error
        shape = np.shape(found[0])
        if len(found) != 1 or len(shape) < 2 or np.prod(shape) != len(pixels) * shape[1]:
            shapes = ", ".join(str(np.shape(values)) for values in found)
            raise ReseenError(
                f"{self.path} makes {shapes} of {len(pixels)} crops; one vector for each is needed"
            )
        vectors: Matrix = found[0][:count].reshape(count, -1).astype(np.float32)
        if not np.isfinite(vectors).all():
            raise ReseenError(f"{self.path} makes numbers that are not finite")
        return vectors

    def _probe(self) -> None:
        """Try the network on two grays and noise."""
        noise = np.random.default_rng(0).integers(0, 256, (*self.size, 3), np.uint8)
        pictures = [np.full_like(noise, 60), np.full_like(noise, 200), noise]
        alone = np.concatenate([self.vectors([picture]) for picture in pictures])
        if np.ptp(alone, axis=0).max() < 1e-6:
            raise ReseenError(f"{self.path} makes the same vector of every crop")
        try:
            together = self.vectors(pictures)
        except ReseenError:  # a graph that says it takes any number and was written for one
            self._most = 1
            return
        if np.abs(together - alone).max() > MOST_BATCH_DIFFERENCE:
            raise ReseenError(
                f"{self.path} makes another vector of a crop when others are with it;"
                " export it in evaluation mode"
            )


def augmented(
    network: FrameNetwork, pictures: Iterable[Picture], count: int
) -> Iterator[NDArray[np.float16]]:
    """What a store keeps of each picture for training a head: (6, D) float16.

    The whole picture, its upper and its lower half, each plain and then mirrored; or only the
    first `count` of these.
    """
    waiting = iter(pictures)
    while few := list(islice(waiting, BATCH // count)):
        crops = [crop for picture in few for crop in islice(_augmentations(picture), count)]
        vectors = network.vectors(crops).astype(np.float16)
        yield from vectors.reshape(len(few), count, network.dimensions)


def _augmentations(picture: Picture) -> Iterator[Picture]:
    middle = (len(picture) + 1) // 2
    for part in (picture, picture[:middle], picture[-middle:]):
        yield part
        yield np.ascontiguousarray(part[:, ::-1])


def open_network(name: str, style: str | None = None) -> FrameNetwork:
    """Open a network over single crops.

    Args:
        name: "lite0", "lite0-maps", the name of a trunk in the catalogue that was loaded, the
            model id of one of these, or the path of an ONNX file.
        style: as in `FrameNetwork`, for a file.
    """
    for short, model_id, count in (("lite0", lite0.NAME, 6), ("lite0-maps", lite0.MAPS_NAME, 2)):
        if name in (short, model_id):
            network = FrameNetwork(lite0.lite0_file(model_id), "lite0")
            network.model_id = model_id  # the weights' name: how ONNX is written may change
            network.augmentations, network.unit = count, short == "lite0"
            network.note = BETTER if short == best_trunk() else ""
            return network
    for entry in catalogue().values():
        if entry.style and name in (entry.name, entry.model_id):
            network = FrameNetwork(entry.loaded, style)
            network.note = f"embedding with {entry.name}, which was loaded"
            return network
    if not name.lower().endswith(".onnx"):
        raise ReseenError(
            f"{name} is neither an ONNX file nor a run folder nor one of reseen models list"
        )
    return FrameNetwork(Path(name), style)


def find_network(model_id: str, file: str) -> FrameNetwork:
    """Open a network again that was used before.

    Args:
        model_id: of the network.
        file: where its file lay, if it was named by that; it may lie in the folder of models now.

    Raises:
        ReseenError: it is not there, or another file is.
    """
    if not file:
        return open_network(model_id)
    stated, _, digest = model_id.rpartition("-")
    style = next((name for name in STYLES if stated.endswith(f"-{name}")), None)
    places = Path(file), models_folder() / Path(file).name
    for place in filter(Path.is_file, places):
        if read_graph(place)[0].startswith(digest):
            network = FrameNetwork(place, style)
            if network.model_id == model_id:
                return network
    raise ReseenError(f"{model_id} lies neither at {places[0]} nor at {places[1]}; put it there")


def _padded(picture: Picture, proportion: float, colour: Sequence[float]) -> Picture:
    """The picture in the middle of one `proportion` times as high as wide, filled with a colour."""
    height, width = picture.shape[:2]
    above = max(0, round((width * proportion - height) / 2))
    beside = max(0, round((height / proportion - width) / 2))
    filled = cv2.copyMakeBorder(
        picture, above, above, beside, beside, cv2.BORDER_CONSTANT, value=colour
    )
    return np.asarray(filled, np.uint8)
