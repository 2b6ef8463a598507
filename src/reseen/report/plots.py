"""Figures of numbers (CMC curves, learning, what branches see, a map of features): PNG and SVG."""

import re
from collections.abc import Mapping, Sequence
from io import BytesIO
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from reseen.data.embeddings import Embeddings
from reseen.data.tracklet import DISTRACTOR
from reseen.errors import ReseenError
from reseen.evaluation.intervals import t_interval
from reseen.evaluation.report import FEATURES, Report
from reseen.files import written_aside

LAST_RANK = 20
"""Where the CMC figure ends, as the paper's figures do."""

INK = {"ink": "#1c2026", "muted": "#66707c", "grid": "#e3e6ea", "paper": "#ffffff"}
"""Text, lines and ground. In SVG each colour is a variable of its name, which a page may set."""


class Stroke(NamedTuple):
    """How a curve is drawn: colours differ for every kind of colour vision, dashes help print."""

    name: str
    colour: str
    dashes: str | tuple[int, tuple[float, ...]] = "-"
    width: float = 1.8


STROKES = {
    "colours": Stroke("grey", "#6b737d", (0, (1, 2)), 1.4),
    "trunk": Stroke("teal", "#0a7480", (0, (1, 2)), 1.4),
    "trunk-lda": Stroke("violet", "#6a51a3", (0, (3, 1)), 1.4),
    "spatial": Stroke("orange", "#c8550a", (0, (5, 1.4))),
    "temporal": Stroke("green", "#008a66", (0, (2.4, 1.2))),
    "fused": Stroke("blue", "#0068b3", width=2.2),
    "upper": Stroke("pink", "#b0508f", (0, (1, 1.2)), 1.4),
    "lower": Stroke("brown", "#8a6d1d", (0, (4, 1.2, 1, 1.2)), 1.4),
    "parts": Stroke("black", "#1b1e24", width=2.2),
}

MARKERS = "os^Dv<>P"
"""One for each camera of the map, or network, over again where there are more."""

DASHES = ("-", (0, (5, 1.4)), (0, (2.4, 1.2)), (0, (1, 1.2)))
MAIN_FIRST = ("fused", "spatial", "temporal", "parts", "upper", "lower", "trunk-lda", "trunk")
INKS = [STROKES[kind].colour for kind in (*MAIN_FIRST, "colours")]
"""Dashes and colours of curves of learning, one after the other; together they differ 36 times."""

NUMBERED = 40
"""With more people than this, their numbers would cover the map."""

FOUND = "found at rank 1, and 95 % interval"
"""Stands above figures of these."""

LIGHTNESS, CHROMA = 58.0, 52.0
"""Of all people's colours, in CIELAB: to be seen on a white and on a black page."""

Numbers = NDArray[np.float64]


def cmc_figure(report: Report) -> Figure:
    """One CMC curve for each feature kind over ranks 1 to 20, labelled where they start.

    Where there are several trials the curve is their mean and a band its 95 % interval.
    """
    figure = Figure(figsize=(5.2, 3.7), layout="constrained")
    axes = figure.add_subplot()
    curves = {  # (trials, LAST_RANK) each
        kind: np.array([scores.curve[:LAST_RANK] for scores in report.scores(kind)])
        for kind in report.kinds
    }
    lowest = min([_draw_curve(axes, STROKES[kind], curve) for kind, curve in curves.items()])
    axes.set(xlim=(1, LAST_RANK), ylim=(_tens_below(lowest), 1.0))
    axes.yaxis.tick_right()
    axes.set_xticks([1, 5, 10, 15, 20])
    axes.set_xlabel(
        "rank: how many gallery tracklets are looked at", fontsize=9, color=INK["muted"]
    )
    axes.set_title("queries whose match is among them", loc="right", fontsize=9, color=INK["muted"])
    _plain(axes)
    starts = {kind: (1.0, float(curve[:, 0].mean())) for kind, curve in curves.items()}
    _label_curves(axes, starts, [STROKES[kind].colour for kind in starts], -0.047)
    return figure


def _draw_curve(axes: Axes, stroke: Stroke, curves: Numbers) -> float:
    """Draw the mean of curves (trials, LAST_RANK), and its interval; returns the lowest value."""
    ranks, mean = np.arange(1, LAST_RANK + 1), curves.mean(axis=0)
    look: dict[str, Any] = {
        "color": stroke.colour,
        "linestyle": stroke.dashes,
        "linewidth": stroke.width,
    }
    axes.plot(ranks, mean, **look, solid_capstyle="round", clip_on=False, zorder=3)
    if len(curves) == 1:
        return float(mean.min())
    low, high = np.array([t_interval(shares) for shares in curves.T]).T
    axes.fill_between(ranks, low, high, color=stroke.colour, alpha=0.14, linewidth=0)
    return float(low.min())


Learning = Mapping[int, tuple[float, float, float]]
"""By clips seen: the share found at rank 1, and its 95 % interval's ends."""


def learning_figure(panels: Mapping[str, Mapping[str, Learning]]) -> Figure:
    """Rank 1 against clips seen: a curve and its band for each network, labelled where it ends.

    Args:
        panels: curves by name, one panel below the other; a name looks the same in all of them.
    """
    figure = Figure(figsize=(6.4, 0.9 + 2.7 * len(panels)), layout="constrained")
    places = figure.subplots(len(panels), sharex=True, sharey=True, squeeze=False)[:, 0]
    names = dict.fromkeys(name for curves in panels.values() for name in curves)
    looks = dict(zip(names, zip(cycle(INKS), cycle(DASHES), cycle(MARKERS)), strict=False))
    every = [curve for curves in panels.values() for curve in curves.values()]
    seen = sorted({clips for curve in every for clips in curve})
    ticks = [clips for clips in seen if not any(0.8 * clips < other < clips for other in seen)]
    lowest = min(low for curve in every for _, low, _ in curve.values())
    for axes, (title, curves) in zip(places, panels.items(), strict=True):
        for name, curve in curves.items():
            _draw_learning(axes, curve, *looks[name])
        axes.set(xscale="log", xlim=(seen[0] * 0.97, seen[-1] * 1.03))
        axes.set_ylim(_tens_below(lowest), 1.0)
        axes.set_xticks(ticks, [f"{clips:,}" for clips in ticks])
        axes.minorticks_off()
        axes.set_title(title, loc="left", fontsize=9, color=INK["muted"])
        _plain(axes)
        ends = {name: (max(curve), curve[max(curve)][0]) for name, curve in curves.items()}
        _label_curves(axes, ends, [looks[name][0] for name in ends], 1.04)
    axes.set_xlabel("clips that a network has seen", fontsize=9, color=INK["muted"])
    return figure


def _draw_learning(axes: Axes, curve: Learning, colour: str, dashes: Any, marker: str) -> None:
    clips = sorted(curve)
    means, low, high = np.array([curve[count] for count in clips]).T
    look: dict[str, Any] = {"color": colour, "linestyle": dashes, "linewidth": 1.8}
    axes.plot(clips, means, marker=marker, markersize=4, **look, clip_on=False, zorder=3)
    axes.fill_between(clips, low, high, color=colour, alpha=0.1, linewidth=0)


def ladder_figure(rungs: Mapping[str, Report]) -> Figure:
    """What every feature finds at rank 1, and its 95 % interval, over the chance level.

    Args:
        rungs: one beside the other, by what people differ in, which stands below.
    """
    figure = Figure(figsize=(6.4, 3.9), layout="constrained")
    axes = figure.add_subplot()
    shown = {kind for report in rungs.values() for kind in report.kinds}
    looks = dict(zip([kind for kind in FEATURES if kind in shown], cycle(MARKERS), strict=False))
    for rung, report in enumerate(rungs.values()):
        chance = report.chance_level[0]
        axes.plot([rung - 0.42, rung + 0.42], [chance] * 2, color=INK["ink"], linewidth=0.9)
        for step, (kind, marker) in enumerate(looks.items()):
            if kind in report.kinds:
                place = rung + 0.7 * ((step + 0.5) / len(looks) - 0.5)
                mean = np.mean([each.curve[0] for each in report.scores(kind)])
                colour = STROKES[kind].colour
                axes.plot([place] * 2, report.intervals(kind)[0], color=colour, zorder=3)
                axes.plot(place, mean, marker, color=colour, clip_on=False, zorder=3)
    axes.set(xlim=(-0.5, len(rungs) - 0.5), ylim=(0, 1))
    axes.set_xticks(range(len(rungs)), list(rungs))
    axes.set_title(FOUND, loc="left", fontsize=9, color=INK["muted"])
    _plain(axes)
    words: dict[str, Any] = {"fontsize": 9, "color": INK["muted"], "va": "center"}
    axes.text(len(rungs) - 0.53, chance, "chance level", **words)
    axes.legend(
        handles=[
            Line2D([], [], linestyle="", marker=marker, color=STROKES[kind].colour)
            for kind, marker in looks.items()
        ],
        labels=[FEATURES[kind] for kind in looks],
        loc="upper right",
        frameon=False,
        fontsize=9,
        labelcolor=INK["muted"],
        handletextpad=0.2,
    )
    return figure


def _plain(axes: Axes) -> None:
    """Percent, faint lines across and no box."""
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
    axes.tick_params(length=0, pad=6, labelsize=9, labelcolor=INK["muted"])
    axes.set_axisbelow(True)
    axes.grid(axis="y", color=INK["grid"], linewidth=0.8)
    axes.spines[:].set_visible(False)


def _tens_below(share: float) -> float:
    """The next ten percent, clearly below a share."""
    return max(0.0, float(np.floor(10 * share - 0.5)) / 10)


def _label_curves(
    axes: Axes, starts: Mapping[str, tuple[float, float]], inks: Sequence[Any], aside: float
) -> None:
    """Name each curve and its rank-1 share beside the plot; `aside` is a share of its width."""
    low, high = axes.get_ylim()
    places = spread_out([share for _, share in starts.values()], 0.062 * (high - low))
    for (kind, start), colour, place in zip(starts.items(), inks, places, strict=True):
        line = {
            "arrowstyle": "-",
            "color": colour,
            "linewidth": 0.7,
            "shrinkA": 1,
            "shrinkB": 2,
            "relpos": (float(aside < 0), 0.5),  # from the side that faces the plot
        }
        axes.annotate(
            f"{kind}  {100 * start[1]:.1f} %",
            xy=start,
            xytext=(aside, place),
            textcoords=("axes fraction", "data"),
            ha="right" if aside < 0 else "left",
            va="center",
            fontsize=9.5,
            fontweight="bold",
            color=colour,
            annotation_clip=False,
            arrowprops=line,
        )


def spread_out(values: Sequence[float], gap: float) -> Numbers:
    """Move values apart to at least `gap`, keeping their order and as near as they can stay."""
    order = np.argsort(values, kind="stable")
    steps = gap * np.arange(len(order))
    apart = np.empty(len(order))
    apart[order] = isotonic_regression(np.asarray(values)[order] - steps).x + steps
    return apart


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
    cameras = np.unique(embeddings.cameras).tolist()
    marker = {camera: MARKERS[camera % len(MARKERS)] for camera in cameras}
    people = np.unique(embeddings.persons[embeddings.persons > DISTRACTOR])
    others = points[embeddings.persons <= DISTRACTOR]
    axes.plot(*others.T, ".", color=INK["muted"], markersize=2, alpha=0.5)
    for person, colour in zip(people, colours(len(people)), strict=True):
        own = embeddings.persons == person
        centre = points[own].mean(axis=0)
        for point, camera in zip(points[own], embeddings.cameras[own].tolist(), strict=True):
            axes.plot(*np.stack([centre, point]).T, color=colour, linewidth=0.8, alpha=0.7)
            axes.plot(*point, marker[camera], color=colour, markersize=5, markeredgewidth=0)
        if len(people) <= NUMBERED:
            _number(axes, points[own], int(person), colour)
    # The axes' numbers mean nothing and stay away.
    axes.set(xticks=[], yticks=[])
    first, second = (f"principal component, {100 * each:.0f} % of the variance" for each in shares)
    axes.set_xlabel(f"first {first}", fontsize=8.5, color=INK["muted"])
    axes.set_ylabel(f"second {second}", fontsize=8.5, color=INK["muted"])
    axes.spines[:].set_color(INK["grid"])
    look: dict[str, Any] = {"linestyle": "", "color": INK["muted"], "markersize": 5}
    axes.legend(
        handles=[Line2D([], [], marker=marker[camera], **look) for camera in cameras],
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
    return figure


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
    lightness = np.full(count, LIGHTNESS)
    lab = np.stack([lightness, CHROMA * np.cos(angles), CHROMA * np.sin(angles)], axis=-1)
    rgb: Any = cv2.cvtColor(lab[None].astype(np.float32), cv2.COLOR_Lab2RGB)
    return np.clip(np.asarray(rgb[0], dtype=np.float64), 0, 1)


def shortened(text: str, longest: int) -> str:
    """A text that fits below or beside a picture; its ends tell more than its middle."""
    half = longest // 2
    return text if len(text) <= longest else f"{text[: half - 1]}…{text[-half:]}"


def save(figure: Figure, path: Path) -> None:
    """Write a figure to a PNG file."""
    with written_aside(path) as temporary:
        temporary.write_bytes(png(figure))


def png(figure: Figure) -> bytes:
    """A figure as the content of a PNG file."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=200, metadata={"Software": None})
    return buffer.getvalue()


def svg(figure: Figure) -> str:
    """A figure as an `<svg>` element whose colours a page can set and whose text stays text."""
    buffer = BytesIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "reseen"}):
        figure.savefig(buffer, format="svg", dpi=200, transparent=True, metadata=nothing)
    drawing = buffer.getvalue().decode()
    drawing = drawing[drawing.index("<svg") :]
    # Ids that nothing refers to would repeat from figure to figure of a page.
    used = set(re.findall(r"#([\w-]+)", drawing))
    drawing = re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in used else "", drawing)
    for name, colour in (INK | {each.name: each.colour for each in STROKES.values()}).items():
        drawing = drawing.replace(colour, f"var(--{name}, {colour})")
    return drawing
