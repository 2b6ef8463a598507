"""Figures drawn with Matplotlib, as PNG files and as SVG for a page, and stored frames in them."""

import re
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from reseen.data.coding import unpack_pictures
from reseen.data.pictures import Picture
from reseen.data.store import FrameStore
from reseen.evaluation.intervals import t_interval
from reseen.evaluation.report import Report
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
    "colours": Stroke("grey", "#7a828c", (0, (1, 2)), 1.4),
    "trunk": Stroke("grey", "#7a828c", (0, (1, 2)), 1.4),
    "trunk-lda": Stroke("violet", "#6a51a3", (0, (3, 1)), 1.4),
    "spatial": Stroke("orange", "#c8550a", (0, (5, 1.4))),
    "temporal": Stroke("green", "#008a66", (0, (2.4, 1.2))),
    "fused": Stroke("blue", "#0068b3", width=2.2),
    "upper": Stroke("pink", "#b0508f", (0, (1, 1.2)), 1.4),
    "lower": Stroke("brown", "#8a6d1d", (0, (4, 1.2, 1, 1.2)), 1.4),
    "parts": Stroke("black", "#1b1e24", width=2.2),
}

Numbers = NDArray[np.float64]

PictureStack = NDArray[np.uint8]
"""Several pictures of one size, (n, H, W, 3) uint8, RGB."""


def plot_cmc(report: Report, path: Path) -> None:
    """Draw `cmc_figure` to a PNG file."""
    save(cmc_figure(report), path)


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
    for kind, curve in curves.items():
        _draw_curve(axes, STROKES[kind], curve)
    lowest = min(float(_band(curve)[0].min()) for curve in curves.values())
    axes.set(xlim=(1, LAST_RANK), ylim=(max(0.0, np.floor(10 * lowest - 0.5) / 10), 1.0))
    _rule(axes)
    _label_curves(axes, {kind: float(curve[:, 0].mean()) for kind, curve in curves.items()})
    return figure


def _band(curves: Numbers) -> tuple[Numbers, Numbers]:
    """Lower and upper edge of the mean's 95 % interval over trials, (LAST_RANK,) each."""
    if len(curves) == 1:
        return curves[0], curves[0]
    low, high = np.array([t_interval(shares) for shares in curves.T]).T
    return low, high


def _draw_curve(axes: Axes, stroke: Stroke, curves: Numbers) -> None:
    ranks = np.arange(1, LAST_RANK + 1)
    axes.plot(
        ranks,
        curves.mean(axis=0),
        color=stroke.colour,
        linestyle=stroke.dashes,
        linewidth=stroke.width,
        solid_capstyle="round",
        clip_on=False,
        zorder=3,
    )
    if len(curves) > 1:
        axes.fill_between(ranks, *_band(curves), color=stroke.colour, alpha=0.14, linewidth=0)


def _rule(axes: Axes) -> None:
    """Percent at the right, ranks below, faint lines across and no box."""
    axes.yaxis.tick_right()
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
    axes.set_xticks([1, 5, 10, 15, 20])
    axes.set_xlabel("rank: how many gallery tracklets are looked at", fontsize=9)
    axes.set_title("queries whose match is among them", loc="right", fontsize=9, color=INK["muted"])
    axes.xaxis.label.set_color(INK["muted"])
    axes.tick_params(length=0, pad=6, labelsize=9, labelcolor=INK["muted"])
    axes.set_axisbelow(True)
    axes.grid(axis="y", color=INK["grid"], linewidth=0.8)
    axes.spines[:].set_visible(False)


def _label_curves(axes: Axes, starts: dict[str, float]) -> None:
    """Name each curve and its rank-1 share left of where it starts."""
    low, high = axes.get_ylim()
    places = spread_out(list(starts.values()), 0.062 * (high - low))
    for (kind, start), place in zip(starts.items(), places, strict=True):
        axes.annotate(
            f"{kind}  {100 * start:.1f} %",
            xy=(1, start),
            xytext=(0.1, place),
            ha="right",
            va="center",
            fontsize=9.5,
            fontweight="bold",
            color=STROKES[kind].colour,
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": STROKES[kind].colour,
                "linewidth": 0.7,
                "shrinkA": 1,
                "shrinkB": 2,
            },
        )


def spread_out(values: Sequence[float], gap: float) -> Numbers:
    """Move values apart to at least `gap`, keeping their order and as near as they can stay."""
    order = np.argsort(values, kind="stable")
    steps = gap * np.arange(len(order))
    apart = np.empty(len(order))
    apart[order] = isotonic_regression(np.asarray(values)[order] - steps).x + steps
    return apart


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


def middle_pictures(store: FrameStore, index: int, count: int, step: int = 1) -> PictureStack:
    """Frames around the middle of a tracklet; a short one starts over at its end.

    Args:
        store: where it lies.
        index: which tracklet.
        count: how many frames.
        step: how many frames to go on from one to the next.

    Returns:
        (count, 64, 48, 3) uint8, RGB; the tracklet's middle frame at place count // 2.
    """
    frames = store.tracklet(index)
    places = len(frames) // 2 + step * (np.arange(count) - count // 2)
    return unpack_pictures(frames[places % len(frames)])


def enlarged(picture: Picture, times: int) -> Picture:
    """A picture so many times as large, by Lanczos interpolation."""
    larger: Any = cv2.resize(picture, None, fx=times, fy=times, interpolation=cv2.INTER_LANCZOS4)
    return np.asarray(larger, dtype=np.uint8)
