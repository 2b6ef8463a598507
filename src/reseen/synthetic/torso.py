"""The trunk and what it wears: patches of cloth on an upright elliptic tube.

An angle on the tube is 0 in front, pi / 2 at the body's left side; a height is 0 at the hips, 1 at
the neck.
"""

from collections.abc import Callable

import numpy as np

from reseen.synthetic.body import Body
from reseen.synthetic.outlines import Shape, darker, polygon, toward
from reseen.synthetic.people import Colour
from reseen.synthetic.walking import Array

# Half the tube's width at some heights, in shoulder half-widths.
HEIGHTS = (0.0, 0.3, 0.72, 0.93, 1.0)
WIDTHS = (0.80, 0.74, 0.90, 0.95, 0.42)

DEPTH = 0.62
"""Depth of the tube by its width."""

Span = tuple[float, float]


def torso(body: Body) -> list[Shape]:
    """The trunk in its shirt, and a coat's skirts."""
    pattern = _PATTERNS[body.look.top_pattern](body)
    coat = _drape(body, 0.6, 0.012, body.look.top) if body.look.coat else []
    return [*_around(body, (-0.08, 1.0), body.look.top), *pattern, *coat]


def skirt(body: Body) -> list[Shape]:
    """A skirt down to the knees."""
    look = body.look
    if look.bottom_pattern != "bands":
        return _drape(body, 0.95, 0.02, look.bottom)
    border = _drape(body, 0.95, 0.02, look.bottom_detail)
    return border + _drape(body, 0.75, 0.016, look.bottom)


def patch(body: Body, angles: Span, heights: Span, colour: Colour) -> list[Shape]:
    """The share of a patch of cloth that the camera sees; nothing where it faces away."""
    middle = _right_edge(body) - np.pi / 2
    start = _wrapped(angles[0] - middle)
    end = start + angles[1] - angles[0]
    # What reaches around the far side comes into sight again on the left.
    again = _patch(body, middle, (start - 2 * np.pi, end - 2 * np.pi), heights, colour)
    return again + _patch(body, middle, (start, end), heights, colour)


def _patch(body: Body, middle: float, span: Span, heights: Span, colour: Colour) -> list[Shape]:
    start, end = max(span[0], -np.pi / 2), min(span[1], np.pi / 2)
    if end - start < 0.05:
        return []
    levels = [heights[0], *(h for h in HEIGHTS if heights[0] < h < heights[1]), heights[1]]
    left = [_surface(body, middle + start, level) for level in levels]
    right = [_surface(body, middle + end, level) for level in reversed(levels)]
    return [Shape(polygon(left + right), colour)]


def _around(body: Body, heights: Span, colour: Colour) -> list[Shape]:
    """A band of cloth around the trunk, its lit side lighter."""
    right = _right_edge(body)
    left, third = right - np.pi, 0.35 * np.pi
    lit = (left + third, right) if body.view.light > 0 else (left, right - third)
    shade = patch(body, (left, right), heights, darker(colour))
    return shade + patch(body, lit, heights, colour)


def _surface(body: Body, angle: float, height: float) -> Array:
    """Where in the picture a point of the trunk's surface is, (frames, 2)."""
    bones, build = body.bones, body.build
    width = build.shoulder * float(np.interp(height, HEIGHTS, WIDTHS))
    if height < HEIGHTS[-2]:
        width *= 0.5 + 0.5 * build.girth
    across = width * np.sin(angle) * bones.left
    along = DEPTH * width * np.cos(angle) * bones.forward
    return body.seen(toward(bones.pelvis, bones.neck, height) + across + along)


def _right_edge(body: Body) -> float:
    """The angle at which the tube's surface turns away from the camera, on the picture's right."""
    return float(np.arctan2(body.view.facing, DEPTH * body.view.rightward))


def _drape(body: Body, down: float, flare: float, colour: Colour) -> list[Shape]:
    """Cloth hanging from the waist over both thighs, `down` of the way to the knees."""
    first, second = (body.seen(toward(leg.root, leg.middle, down)) for leg in body.bones.legs)
    wide = np.stack([body.pixels(0.048 * body.build.girth + flare), np.zeros(len(first))], -1)
    low_left, low_right = np.minimum(first, second) - wide, np.maximum(first, second) + wide
    low_left[:, 1] = low_right[:, 1]
    right = _right_edge(body)
    waist_left, waist_right = _surface(body, right - np.pi, 0.1), _surface(body, right, 0.1)
    light = body.view.light
    waist_fold = toward(waist_left, waist_right, 0.5 - 0.15 * light)
    low_fold = toward(low_left, low_right, 0.5 - 0.15 * light)
    lit = [waist_right, low_right] if light > 0 else [waist_left, low_left]
    return [
        Shape(polygon([waist_left, waist_right, low_right, low_left]), darker(colour)),
        Shape(polygon([waist_fold, *lit, low_fold]), colour),
    ]


def _plain(body: Body) -> list[Shape]:  # noqa: ARG001
    return []


def _stripes_across(body: Body) -> list[Shape]:
    bands = [(low, low + 0.09) for low in (0.06, 0.26, 0.46, 0.66, 0.84)]
    return [shape for band in bands for shape in _around(body, band, body.look.top_detail)]


def _stripes_down(body: Body) -> list[Shape]:
    spans = [(angle - 0.10, angle + 0.10) for angle in np.arange(10) * np.pi / 5]
    detail = body.look.top_detail
    return [shape for span in spans for shape in patch(body, span, (-0.06, 0.94), detail)]


def _checks(body: Body) -> list[Shape]:
    bands = [(low, low + 0.08) for low in (0.10, 0.38, 0.66)]
    across = [shape for band in bands for shape in _around(body, band, body.look.top_detail)]
    return _stripes_down(body) + across


def _yoke(body: Body) -> list[Shape]:
    return _around(body, (0.55, 1.0), body.look.top_detail)


def _open(body: Body) -> list[Shape]:
    return patch(body, (-0.45, 0.45), (-0.07, 0.98), body.look.top_detail)


def _logo(body: Body) -> list[Shape]:
    front = patch(body, (-0.5, 0.5), (0.55, 0.78), body.look.top_detail)
    return front + patch(body, (np.pi - 0.7, np.pi + 0.7), (0.5, 0.8), body.look.top_detail)


_PATTERNS: dict[str, Callable[[Body], list[Shape]]] = {
    "plain": _plain,
    "stripes across": _stripes_across,
    "stripes down": _stripes_down,
    "checks": _checks,
    "yoke": _yoke,
    "open": _open,
    "logo": _logo,
}


def _wrapped(angle: float) -> float:
    """The same angle between -pi / 2 and 3 pi / 2."""
    return float((angle + np.pi / 2) % (2 * np.pi) - np.pi / 2)
