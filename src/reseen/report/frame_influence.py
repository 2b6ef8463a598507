"""One clip frame by frame: its pictures, its flow, and what each frame does to the feature."""

from typing import Literal

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import hsv_to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from reseen.data.clips import BodyPart, augmentation_crops, crop, normalise, tracklet_clips
from reseen.data.coding import HEIGHT, WIDTH, unpack_flow, unpack_pictures
from reseen.data.store import FrameStore
from reseen.errors import ReseenError
from reseen.network.checkpoint import Run
from reseen.network.model import SpatialTemporalFusion
from reseen.report.plots import INK, STROKES, PictureStack, enlarged

ACROSS = 8
"""Frames side by side; more go on in the next line."""

CELL, LEFT, ROOM, BAR = WIDTH + 4, 58, 4, 30
"""Width of a frame's column, room for the rows' names and between rows, height of the longest
bar: in pixels of a stored frame."""

LINE = 2 * (HEIGHT + ROOM) + BAR + 28

Floats = NDArray[np.floating]


def strip_figure(run: Run, store: FrameStore, index: int) -> Figure:
    """The middle clip of a tracklet: pictures, flow and `frame_influence`, a column for a frame.

    Flow is drawn as colour: the hue is its direction, and the further from white, the faster.

    Args:
        run: a finished run; its whole-body network where it has one.
        store: where the tracklet lies.
        index: which tracklet.
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
    return _drawn((unpack_pictures(frames), flow_colours(flow, fastest)), influence, fastest)


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
        flattened = network.trunk(clip[None])
        projection = network.separate_projection or network.projection
        i = projection(flattened)[0]  # (T, 128)
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


def _drawn(rows: tuple[PictureStack, PictureStack], influence: Floats, fastest: float) -> Figure:
    lines = -(-len(influence) // ACROSS)
    across, down = LEFT + CELL * ACROSS, LINE * lines
    figure = Figure(figsize=(across / 72, down / 72))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    for line in range(lines):
        _name_rows(axes, LINE * line)
    _draw_wheel(axes, fastest)
    for place, share in enumerate(influence):
        left, top = LEFT + CELL * (place % ACROSS), LINE * (place // ACROSS)
        for picture in (rows[0][place], rows[1][place]):
            extent = (left, left + WIDTH, top + HEIGHT, top)
            axes.imshow(enlarged(picture, 4), extent=extent, aspect="auto")
            top += HEIGHT + ROOM
        foot = left + WIDTH / 2, top + BAR + 8
        _draw_bar(axes, foot, place + 1, float(share), float(influence.max()))
    axes.set(xlim=(0, across), ylim=(down, 0))
    return figure


def _name_rows(axes: Axes, top: float) -> None:
    names = {
        HEIGHT / 2: "frame",
        HEIGHT + ROOM + 10: "flow",
        2 * (HEIGHT + ROOM) + BAR / 2: "moves the\ntemporal\nfeature by",
    }
    for below, name in names.items():
        _write(axes, (LEFT - 8, top + below), name, INK["ink"], ha="right")


def _draw_wheel(axes: Axes, fastest: float) -> None:
    """The colours of motion away from the middle, and the speed at the rim."""
    y, x = np.mgrid[-1:1:160j, -1:1:160j]
    seen = np.uint8(255) * (np.hypot(y, x) <= 1)
    wheel = np.dstack([flow_colours(np.stack([y, x]), 1.0), seen])
    top = HEIGHT + ROOM + 20
    axes.imshow(wheel, extent=(LEFT - 36, LEFT - 8, top + 28, top), aspect="auto")
    _write(
        axes, (LEFT - 8, top + 35), f"{fastest:.0f} px/frame", INK["muted"], ha="right", size=5.5
    )


def _draw_bar(
    axes: Axes, foot: tuple[float, float], number: int, share: float, largest: float
) -> None:
    """A bar as long as a frame's influence, the share above it and the frame's number below."""
    middle, base = foot
    length = BAR * share / max(largest, 1e-12)
    axes.bar(middle, -length, width=WIDTH / 2, bottom=base, color=STROKES["temporal"].colour)
    _write(axes, (middle, base - length - 5), f"{100 * share:.1f} %", INK["ink"])
    _write(axes, (middle, base + 6), str(number), INK["muted"])


def _write(
    axes: Axes,
    place: tuple[float, float],
    text: str,
    colour: str,
    ha: Literal["center", "right"] = "center",
    size: float = 7,
) -> None:
    axes.text(*place, text, color=colour, ha=ha, va="center", fontsize=size)
