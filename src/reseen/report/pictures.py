"""Tracklets in pictures: what queries found, and what each frame of a clip does to the feature."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import hsv_to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from torch import Tensor

from reseen.data.clips import BodyPart, augmentation_crops, crop, normalise, tracklet_clips
from reseen.data.coding import HEIGHT, WIDTH, unpack_flow, unpack_pictures
from reseen.data.pictures import Picture
from reseen.data.store import FrameStore
from reseen.errors import ReseenError
from reseen.evaluation.metrics import Scores
from reseen.evaluation.scoring import Augmented, Ranking, augmentations, ranking
from reseen.network.checkpoint import Run
from reseen.network.model import SpatialTemporalFusion
from reseen.report.plots import INK, STROKES, shortened

SHOWN = 8
"""How many of the nearest gallery tracklets a row shows."""

POSITIVE, NEGATIVE = "#12805c", "#c8321f"

# All sizes are in pixels of a stored frame.
CELL_WIDTH, CELL_HEIGHT = WIDTH + 8, HEIGHT + 30
"""Of a ranked tracklet: its picture and three lines below it."""

EDGE, GAP = 5, 8
"""Room around all ranked lists, and between a query and what it found."""

LONGEST_NAME = 16

ACROSS = 8
"""Frames of a clip side by side; more go on in the next line."""

CELL, LEFT, ROOM, BAR = WIDTH + 4, 58, 4, 30
"""Width of a frame's column, room for the rows' names and between rows, height of the longest
bar."""

LINE = 2 * (HEIGHT + ROOM) + BAR + 28

Floats = NDArray[np.floating]
PictureStack = NDArray[np.uint8]
"""Several pictures of one size, (n, H, W, 3) uint8, RGB."""


@dataclass(frozen=True)
class RankedTracklet:
    """One gallery tracklet in a row.

    Attributes:
        rank: its place in the ranking, from 1.
        index: its place in the store.
        distance: to the query.
        positive: whether it is the same person in another camera.
    """

    rank: int
    index: int
    name: str
    camera: int
    distance: float
    positive: bool


@dataclass(frozen=True)
class RankedList:
    """One query and what it found.

    Attributes:
        index: the query's place in the store.
        found: the nearest gallery tracklets; then the first positive, where it comes later.
        first: rank of the first positive; 0 where the ranking holds none.
    """

    index: int
    name: str
    camera: int
    found: tuple[RankedTracklet, ...]
    first: int


def chosen_rankings(
    query: Augmented, gallery: Augmented, scores: Scores, count: int = 5
) -> list[Ranking]:
    """Rankings of the best, the worst and the median query, and others evenly between them.

    Queries are ordered by average precision, then by the rank of the first match, then as they
    come. Chosen by place alone, they show neither luck nor mishap more often than it happens.

    Args:
        count: how many; fewer where fewer queries were scored. An odd number has a median.

    Returns:
        Whole rankings, best query first.
    """
    scored = np.flatnonzero(scores.scored)
    order = np.lexsort((scores.first_ranks[scored], -scores.average_precisions[scored]))
    places = np.linspace(0, len(scored) - 1, min(count, len(scored))).round().astype(int)
    length = len(augmentations(gallery)[0])
    return [ranking(query, gallery, int(index), length) for index in scored[order[places]]]


def rows(store: FrameStore, rankings: Sequence[Ranking]) -> list[RankedList]:
    """Look up the rankings' tracklets in the store that they are of."""
    index = {name: place for place, name in enumerate(store.names)}
    drawn = []
    for each in rankings:
        for name in (each.query, *each.names):
            if name not in index:
                raise ReseenError(f"{store.path} has no tracklet {name}; it is of another store")
        positives = np.flatnonzero(each.positive)
        first = int(positives[0]) + 1 if positives.size else 0
        shown = [*range(min(SHOWN, len(each.names))), *([first - 1] if first > SHOWN else [])]
        found = []
        for place in shown:
            name, score = each.names[place], float(each.distances[place])
            home, positive = index[name], bool(each.positive[place])
            camera = int(store.cameras[home])
            found.append(RankedTracklet(place + 1, home, name, camera, score, positive))
        home = index[each.query]
        camera = int(store.cameras[home])
        drawn.append(RankedList(home, each.query, camera, tuple(found), first))
    return drawn


def ranked_figure(store: FrameStore, rankings: Sequence[Ranking]) -> Figure:
    """Rankings in pictures: a row for each query, then the nearest gallery tracklets.

    Positives are framed green, negatives red.
    """
    drawn = rows(store, rankings)
    across = 2 * EDGE + GAP + CELL_WIDTH * (1 + max(len(row.found) for row in drawn))
    figure, axes = _sheet(across, 2 * EDGE + CELL_HEIGHT * len(drawn), 60)
    for number, row in enumerate(drawn):
        top = EDGE + number * CELL_HEIGHT
        _draw_tracklet(axes, store, row, (EDGE, top), INK["ink"], "query")
        for place, found in enumerate(row.found, start=1):
            corner = EDGE + GAP + place * CELL_WIDTH, top
            mark = f"{'✓' if found.positive else '✗'} {found.rank}   {found.distance:.2f}"
            colour = POSITIVE if found.positive else NEGATIVE
            _draw_tracklet(axes, store, found, corner, colour, mark)
    return figure


def _draw_tracklet(
    axes: Axes,
    store: FrameStore,
    shown: RankedList | RankedTracklet,
    corner: tuple[float, float],
    colour: str,
    mark: str,
) -> None:
    """A framed picture and three lines below it: a mark, the camera and the name."""
    _draw_picture(axes, middle_pictures(store, shown.index, 1)[0], *corner)
    frame = Rectangle(corner, WIDTH, HEIGHT, fill=False, edgecolor=colour, linewidth=2.5)
    axes.add_patch(frame)
    for number, line in enumerate((mark, f"camera {shown.camera}", shown.name)):
        axes.text(
            corner[0],
            corner[1] + HEIGHT + 4 + 7.5 * number,
            shortened(line, LONGEST_NAME),
            fontsize=6,
            fontweight="bold" if number == 0 else "normal",
            color=INK["muted"] if number else colour,
            va="top",
            parse_math=False,  # a name may hold dollars
        )


def strip_figure(run: Run, store: FrameStore, index: int) -> Figure:
    """The middle clip of a tracklet: pictures, flow and `frame_influence`, a column for a frame.

    Flow is drawn as colour: the hue is its direction, and the further from white, the faster.

    Args:
        run: a finished run; its whole-body network where it has one.
    """
    clips = tracklet_clips(0, int(store.lengths[index]), run.config.clips.frames, "drop")
    frames = store.tracklet(index)[clips[len(clips) // 2]]
    if len(frames) < 2:
        raise ReseenError(f"{run.path} was trained on clips of one frame, which make no strip")
    part: BodyPart = "full" if "full" in run.facts.parts else run.facts.parts[0]
    stored, settings = torch.from_numpy(np.array(frames))[None], run.config.clips
    (middle,) = augmentation_crops(1, 1)
    clip = crop(normalise(stored, part, settings), middle, settings.negate_mirrored_flow)[0]
    influence = frame_influence(run.network(part), clip)
    flow = unpack_flow(frames)
    fastest = max(float(np.quantile(np.hypot(*flow.swapaxes(0, 1)), 0.995)), 1.0)
    return _drawn(unpack_pictures(frames), flow_colours(flow, fastest), influence, fastest)


def frame_influence(network: SpatialTemporalFusion, clip: Tensor) -> Floats:
    """How far each frame moves the temporal feature of a clip.

    x_R of eq. (5) is computed once with all frames and once without each of them, the
    recurrence running over the gap; the answer is the distance between the two over the length
    of x_R. So a frame counts both for its own output and for what the memory keeps of it.

    Args:
        network: in evaluation mode.
        clip: (T, 5, 56, 40), normalised; T at least 2.

    Returns:
        (T,), 0 and up.
    """
    with torch.inference_mode():
        projection = network.separate_projection or network.projection
        i = projection(network.trunk(clip[None]))[0]  # (T, 128)
        keep = ~torch.eye(len(i), dtype=torch.bool)
        without = torch.stack([i[row] for row in keep])  # (T, T - 1, 128)
        whole = network.outputs(i[None]).mean(dim=1)  # (1, 128)
        moved = network.outputs(without).mean(dim=1) - whole  # (T, 128)
        shares: Floats = (moved.norm(dim=1) / whole.norm().clamp(min=1e-12)).numpy()
    return shares


def flow_colours(flow: Floats, fastest: float) -> PictureStack:
    """Flow as colour: hue for direction, saturation for speed.

    Args:
        flow: (..., 2, H, W), vertical and horizontal, pixels/frame.
        fastest: the speed from which on colours are full.

    Returns:
        (..., H, W, 3) uint8, RGB; white where nothing moves.
    """
    vertical, horizontal = flow[..., 0, :, :], flow[..., 1, :, :]
    hue = np.arctan2(vertical, horizontal) / (2 * np.pi) % 1
    saturation = np.clip(np.hypot(vertical, horizontal) / fastest, 0, 1)
    rgb = hsv_to_rgb(np.stack([hue, saturation, 1 - 0.15 * saturation], axis=-1))
    pictures: PictureStack = np.rint(255 * rgb).astype(np.uint8)
    return pictures


def _drawn(frames: PictureStack, flow: PictureStack, influence: Floats, fastest: float) -> Figure:
    lines = -(-len(influence) // ACROSS)
    figure, axes = _sheet(LEFT + CELL * ACROSS, LINE * lines, 72)
    names = {
        HEIGHT / 2: "frame",
        HEIGHT + ROOM + 10: "flow",
        2 * (HEIGHT + ROOM) + BAR / 2: "moves the\ntemporal\nfeature by",
    }
    for line in range(lines):
        for below, name in names.items():
            _write(axes, LEFT - 8, LINE * line + below, name, INK["ink"], ha="right")
    _draw_wheel(axes, fastest)
    longest = max(float(influence.max()), 1e-12)
    for place, share in enumerate(influence):
        left, top = LEFT + CELL * (place % ACROSS), LINE * (place // ACROSS)
        _draw_picture(axes, frames[place], left, top)
        _draw_picture(axes, flow[place], left, top + HEIGHT + ROOM)
        # A bar as long as the frame's influence, the share above it and its number below.
        middle, base = left + WIDTH / 2, top + 2 * (HEIGHT + ROOM) + BAR + 8
        bar, colour = BAR * float(share) / longest, STROKES["temporal"].colour
        axes.bar(middle, -bar, width=WIDTH / 2, bottom=base, color=colour)
        _write(axes, middle, base - bar - 5, f"{100 * float(share):.1f} %", INK["ink"])
        _write(axes, middle, base + 6, str(place + 1), INK["muted"])
    return figure


def _draw_wheel(axes: Axes, fastest: float) -> None:
    """The colours of motion away from the middle, and the speed at the rim."""
    y, x = np.mgrid[-1:1:160j, -1:1:160j]
    seen = np.uint8(255) * (np.hypot(y, x) <= 1)
    wheel = np.dstack([flow_colours(np.stack([y, x]), 1.0), seen])
    top = HEIGHT + ROOM + 20
    axes.imshow(wheel, extent=(LEFT - 36, LEFT - 8, top + 28, top), aspect="auto")
    speed = f"{fastest:.0f} px/frame"
    _write(axes, LEFT - 8, top + 35, speed, INK["muted"], ha="right", size=5.5)


def _sheet(across: float, down: float, pixels_an_inch: float) -> tuple[Figure, Axes]:
    """A figure to put pictures on, with places counted from its left upper corner."""
    figure = Figure(figsize=(across / pixels_an_inch, down / pixels_an_inch))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set(xlim=(0, across), ylim=(down, 0), autoscale_on=False)
    return figure, axes


def _draw_picture(axes: Axes, picture: Picture, left: float, top: float) -> None:
    extent = (left, left + WIDTH, top + HEIGHT, top)
    axes.imshow(enlarged(picture, 4), extent=extent, aspect="auto")


def _write(
    axes: Axes,
    x: float,
    y: float,
    text: str,
    colour: str,
    ha: Literal["center", "right"] = "center",
    size: float = 7,
) -> None:
    axes.text(x, y, text, color=colour, ha=ha, va="center", fontsize=size)


def middle_pictures(store: FrameStore, index: int, count: int, step: int = 1) -> PictureStack:
    """Frames around the middle of a tracklet; a short one starts over at its end.

    Args:
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
