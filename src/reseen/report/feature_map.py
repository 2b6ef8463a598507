"""A two-dimensional map of features: who lies near whom."""

from typing import Any

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from reseen.data.embeddings import Embeddings
from reseen.data.tracklet import DISTRACTOR
from reseen.errors import ReseenError
from reseen.report.plots import INK

MARKERS = "os^Dv<>P"
"""One for each camera, over again where there are more cameras."""

NUMBERED = 40
"""With more people than this, their numbers would cover the map."""

LIGHTNESS, CHROMA = 58.0, 52.0
"""Of all people's colours, in CIELAB: to be seen on a white and on a black page."""

Numbers = NDArray[np.float64]


def map_figure(embeddings: Embeddings) -> Figure:
    """Features on their first two principal components, a colour for each person.

    Thin lines join a person's tracklets, so that short lines mean that cameras agree. Markers
    tell cameras apart. Junk and distractors are small and grey.

    Args:
        embeddings: of the gallery, or of query and gallery together, so that people who are in
            the gallery once have something to be joined to.
    """
    if len(embeddings) < 3:
        raise ReseenError(f"a map needs three tracklets or more, not {len(embeddings)}")
    points, shares = principal_components(embeddings.features)
    figure = Figure(figsize=(5.6, 5.0), layout="constrained")
    axes = figure.add_subplot(aspect="equal", adjustable="datalim")
    people = np.unique(embeddings.persons[embeddings.persons > DISTRACTOR])
    others = points[embeddings.persons <= DISTRACTOR]
    axes.plot(*others.T, ".", color=INK["muted"], markersize=2, alpha=0.5)
    for person, colour in zip(people, colours(len(people)), strict=True):
        own = embeddings.persons == person
        centre = points[own].mean(axis=0)
        for point, camera in zip(points[own], embeddings.cameras[own], strict=True):
            axes.plot(*np.stack([centre, point]).T, color=colour, linewidth=0.8, alpha=0.7)
            axes.plot(*point, _marker(camera), color=colour, markersize=5, markeredgewidth=0)
        if len(people) <= NUMBERED:
            _number(axes, points[own], int(person), colour)
    _rule(axes, shares, np.unique(embeddings.cameras))
    return figure


def principal_components(features: NDArray[np.float32]) -> tuple[Numbers, Numbers]:
    """Project features (M, D) on their two directions of largest variance.

    Returns:
        The points, (M, 2), and the share of all variance that each direction holds, (2,). Each
        direction points to where its largest weight is positive, so that the map is the same
        on any machine.
    """
    centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    _, lengths, directions = np.linalg.svd(centred, full_matrices=False)
    directions = directions[:2]
    largest = np.abs(directions).argmax(axis=1)
    directions *= np.sign(directions[np.arange(len(directions)), largest])[:, None]
    return centred @ directions.T, lengths[:2] ** 2 / max(float((lengths**2).sum()), 1e-12)


def colours(count: int) -> Numbers:
    """Colours of one lightness, evenly around the circle of hues: (count, 3), RGB in 0..1."""
    angles = 2 * np.pi * np.arange(count) / max(count, 1)
    lab = np.stack(
        [np.full(count, LIGHTNESS), CHROMA * np.cos(angles), CHROMA * np.sin(angles)], axis=-1
    )
    rgb: Any = cv2.cvtColor(lab[None].astype(np.float32), cv2.COLOR_Lab2RGB)
    return np.clip(np.asarray(rgb[0], dtype=np.float64), 0, 1)


def _marker(camera: int) -> str:
    return MARKERS[int(camera) % len(MARKERS)]


def _number(axes: Axes, points: Numbers, person: int, colour: Numbers) -> None:
    """Write a person's number above the highest of their points."""
    axes.annotate(
        str(person),
        points[points[:, 1].argmax()],
        xytext=(0, 5),
        textcoords="offset points",
        ha="center",
        fontsize=7,
        color=colour,
        fontweight="bold",
        path_effects=[withStroke(linewidth=2, foreground=INK["paper"])],
    )


def _rule(axes: Axes, shares: Numbers, cameras: NDArray[np.int64]) -> None:
    """Name the axes and the cameras' markers; the axes' numbers mean nothing and stay away."""
    texts = [
        f"{name} principal component, {100 * share:.0f} % of the variance"
        for name, share in zip(("first", "second"), shares, strict=True)
    ]
    axes.set_xlabel(texts[0], fontsize=8.5, color=INK["muted"])
    axes.set_ylabel(texts[1], fontsize=8.5, color=INK["muted"])
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_color(INK["grid"])
    axes.legend(
        handles=[
            Line2D([], [], marker=_marker(camera), linestyle="", color=INK["muted"], markersize=5)
            for camera in cameras
        ],
        labels=[f"camera {camera}" for camera in cameras],
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=min(len(cameras), 6),
        frameon=False,
        fontsize=8.5,
        labelcolor=INK["muted"],
        handletextpad=0.1,
        columnspacing=1.2,
        borderaxespad=0.2,
    )
