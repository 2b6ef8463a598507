"""A walker as a camera sees it: outlines over time from a person's look, build and bones.

Outlines are drawn from integers, alike on every machine.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from reseen.synthetic.people import Build, Colour, Look, Person, darker, lighter
from reseen.synthetic.walking import Array, Limb, Skeleton, Walk, skeleton

Picture = NDArray[np.uint8]

SHIFT = 4
"""Outlines have corners in 1/16 pixel: what floating point leaves in doubt is rounded away."""


UNDER = 10.0
"""Taken from the nearness of legs: whatever is worn above them hangs over them."""

# The trunk is an upright elliptic tube that wears patches of cloth. An angle on it is 0 in front,
# pi / 2 at the body's left side; a height is 0 at the hips, 1 at the neck.

# Half the tube's width at some heights, in shoulder half-widths.
HEIGHTS = (0.0, 0.3, 0.72, 0.93, 1.0)
WIDTHS = (0.80, 0.74, 0.90, 0.95, 0.42)

DEPTH = 0.62
"""Depth of the tube by its width."""

Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Shape:
    """A filled outline over time.

    Attributes:
        outline: corners in 1/16 pixel, (frames, corners, 2) int32.
        colour: what it is filled with.
    """

    outline: NDArray[np.int32]
    colour: Colour


@dataclass(frozen=True, slots=True)
class Part:
    """Shapes that are drawn one after the other, and how near they are, shape (frames,)."""

    nearness: Array
    shapes: list[Shape]


Figure = Sequence[Part]


def draw(picture: Picture, figure: Figure, frame: int) -> None:
    """Draw a figure into a picture as it is at one frame, the farthest part first."""
    for part in sorted(figure, key=lambda part: float(part.nearness[frame])):
        for shape in part.shapes:
            cv2.fillPoly(picture, [shape.outline[frame]], shape.colour, cv2.LINE_AA, SHIFT)


def polygon(corners: Sequence[Array]) -> NDArray[np.int32]:
    """The outline through some corners, each (frames, 2)."""
    return _fixed(np.stack(corners, axis=1))


def oval(centre: Array, wide: Array, high: Array) -> NDArray[np.int32]:
    """The outline of an upright ellipse around `centre`, (frames, 2); half axes (frames,)."""
    turn = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    across = centre[:, 0, None] + wide[:, None] * np.cos(turn)
    down = centre[:, 1, None] + high[:, None] * np.sin(turn)
    return _fixed(np.stack([across, down], axis=-1))


def capsule(start: Array, end: Array, thick: Array, thin: Array) -> NDArray[np.int32]:
    """The outline of a limb from `start` to `end`, (frames, 2): lines between two half circles.

    Args:
        start, end: middles of the half circles.
        thick, thin: their radii, (frames,).
    """
    along = end - start
    along = along / np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-6)[:, None]
    across = np.stack([-along[:, 1], along[:, 0]], axis=-1)
    turn = np.linspace(0, np.pi, 5)[None, :, None]
    rim = across[:, None] * np.cos(turn) - along[:, None] * np.sin(turn)
    first = start[:, None] + thick[:, None, None] * rim
    last = end[:, None] - thin[:, None, None] * rim
    return _fixed(np.concatenate([first, last], axis=1))


def _fixed(points: Array) -> NDArray[np.int32]:
    return np.rint(points * (1 << SHIFT)).astype(np.int32)


def toward(start: Array, end: Array, share: float) -> Array:
    """The point at some share of the way from one point to another."""
    return start + share * (end - start)


@dataclass(frozen=True, slots=True)
class View:
    """How a camera looks at a walker.

    Attributes:
        azimuth: walking direction in radians: 0 to the picture's right, pi / 2 at the camera.
        elevation: how far the camera looks down, in radians.
        light: +1 where light comes from the picture's right, -1 from the left.
    """

    azimuth: float
    elevation: float
    light: int

    @property
    def facing(self) -> float:
        """1 where the walker faces the camera, 0 from the side, -1 from behind."""
        return float(np.sin(self.azimuth))

    @property
    def rightward(self) -> float:
        """1 where the walker faces the picture's right, -1 the left."""
        return float(np.cos(self.azimuth))


@dataclass(frozen=True, slots=True)
class Placement:
    """Where in the picture a body stands, in pixels; arrays of shape (frames,).

    Attributes:
        across: the middle of the body.
        ground: the line on which it stands.
        height: how tall it is.
    """

    across: Array
    ground: Array
    height: Array


@dataclass(frozen=True, slots=True)
class Body:
    """One walker in one view; methods turn (frames, 3) points into what the camera sees."""

    look: Look
    build: Build
    bones: Skeleton
    view: View
    placement: Placement

    def seen(self, points: Array) -> Array:
        """Points of the picture, (frames, 2)."""
        x, y, z = points[:, 0], points[:, 1], points[:, 2]
        right = x * self.view.rightward + y * self.view.facing
        tilt = self.view.elevation
        down = self.nearness(points) * np.sin(tilt) - z * np.cos(tilt)
        place = self.placement
        return np.stack(
            [place.across + place.height * right, place.ground + place.height * down], axis=-1
        )

    def nearness(self, points: Array) -> Array:
        """How near the camera points are, (frames,)."""
        return np.asarray(points[:, 0] * self.view.facing - points[:, 1] * self.view.rightward)

    def pixels(self, length: float) -> Array:
        """A length in body heights as pixels, (frames,)."""
        return self.placement.height * length

    def to_light(self, length: float) -> Array:
        """A step towards the light, (frames, 2), its length in body heights."""
        step = self.pixels(length) * self.view.light
        return np.stack([step, np.zeros_like(step)], axis=-1)

    def tube(
        self, start: Array, end: Array, thick: float, thin: float, colour: Colour
    ) -> list[Shape]:
        """A round piece of body or cloth, in the shade, and its lit side."""
        first, last, lit = self.seen(start), self.seen(end), self.to_light(0.25 * thick)
        shade = capsule(first, last, self.pixels(thick), self.pixels(thin))
        shine = capsule(
            first + lit, last + lit, self.pixels(0.72 * thick), self.pixels(0.72 * thin)
        )
        return [Shape(shade, darker(colour)), Shape(shine, colour)]

    def strip(
        self, start: Array, end: Array, width: float, colour: Colour, aside: float = 0.0
    ) -> Shape:
        """A stripe along a limb, `aside` of its middle towards the light."""
        step, radius = self.to_light(aside), self.pixels(width)
        return Shape(
            capsule(self.seen(start) + step, self.seen(end) + step, radius, radius), colour
        )


def figure(person: Person, walk: Walk, view: View, placement: Placement) -> Figure:
    """All that is to be drawn of a walking person."""
    bones = skeleton(person.build, person.posture, walk)
    body = Body(person.look, person.build, bones, view, placement)
    legs = [Part(part.nearness - UNDER, part.shapes) for part in (_leg(body, 0), _leg(body, 1))]
    chest = body.nearness(bones.neck)
    hanging = _skirt(body) if body.look.cut == "skirt" else []
    trunk = Part(chest, [*hanging, *_torso(body), *_head(body)])
    drawn = [*legs, trunk, _arm(body, 0), _arm(body, 1)]
    if person.look.bag == "backpack":
        drawn.append(_backpack(body, chest))
    elif person.look.bag == "shoulder bag":
        drawn.append(_shoulder_bag(body, chest))
    return drawn


def _head(body: Body) -> list[Shape]:
    look, bones = body.look, body.bones
    facing, right = body.view.facing, body.view.rightward
    throat = body.tube(toward(bones.neck, bones.head, -0.1), bones.head, 0.032, 0.032, look.skin)
    hair = [_oval(body, (0.0, 0.0), (0.88, 1.0), look.hair)]
    if facing > -0.35:
        face = (0.42 * right, 0.22), (0.50 + 0.22 * abs(facing), 0.76)
        hair += [_oval(body, *face, darker(look.skin, 85))]
        lit = 0.42 * right + 0.10 * body.view.light, 0.18
        hair += [_oval(body, lit, (face[1][0] - 0.12, 0.66), look.skin)]
    if not look.long_hair:
        return [*throat, *hair]
    mane = _oval(body, (-0.45 * right, 0.75), (0.55 + 0.3 * abs(facing), 1.15), look.hair)
    return [mane, *throat, *hair] if facing > 0 else [*throat, *hair, mane]


def _oval(
    body: Body, aside: tuple[float, float], size: tuple[float, float], colour: tuple[int, int, int]
) -> Shape:
    """An ellipse on the head; place and half axes in head radii."""
    radius = body.pixels(body.build.head)
    centre = body.seen(body.bones.head) + radius[:, None] * np.array(aside)
    return Shape(oval(centre, size[0] * radius, size[1] * radius), colour)


def _backpack(body: Body, chest: Array) -> Part:
    bones, colour = body.bones, body.look.bag_colour
    behind = -(DEPTH * body.build.shoulder + 0.035) * bones.forward
    low, high = (toward(bones.pelvis, bones.neck, place) + behind for place in (0.32, 0.80))
    wide = 0.052 + 0.022 * abs(body.view.facing)
    sack = body.tube(low, high, wide, 0.92 * wide, colour)
    pocket = body.strip(low + 0.2 * behind, toward(low, high, 0.3), 0.6 * wide, darker(colour, 85))
    spans = [(side * 0.75 - 0.12, side * 0.75 + 0.12) for side in (-1, 1)]
    straps = [
        shape for span in spans for shape in _patch(body, span, (0.45, 0.97), darker(colour, 80))
    ]
    return Part(chest - 0.12 * body.view.facing, [*sack, pocket, *straps])


def _shoulder_bag(body: Body, chest: Array) -> Part:
    bones, look = body.bones, body.look
    outward = look.bag_side * bones.left
    hip = (0.8 * body.build.shoulder + 0.035) * outward
    low, high = (toward(bones.pelvis, bones.neck, place) + hip for place in (-0.22, 0.05))
    other_shoulder = bones.neck - 0.6 * body.build.shoulder * outward
    strap = body.strip(high, other_shoulder, 0.008, darker(look.bag_colour, 80))
    sack = body.tube(low, high, 0.052, 0.046, look.bag_colour)
    return Part(chest + 0.15 * body.nearness(outward), [strap, *sack])


def _torso(body: Body) -> list[Shape]:
    """The trunk in its shirt, and a coat's skirts."""
    shirt = _around(body, (-0.08, 1.0), body.look.top) + _top_pattern(body)
    return shirt + _drape(body, 0.6, 0.012, body.look.top) if body.look.coat else shirt


def _skirt(body: Body) -> list[Shape]:
    """A skirt down to the knees."""
    look = body.look
    if look.bottom_pattern != "bands":
        return _drape(body, 0.95, 0.02, look.bottom)
    border = _drape(body, 0.95, 0.02, look.bottom_detail)
    return border + _drape(body, 0.75, 0.016, look.bottom)


def _patch(body: Body, angles: Span, heights: Span, colour: Colour) -> list[Shape]:
    """The share of a patch of cloth that the camera sees; nothing where it faces away."""
    middle = _right_edge(body) - np.pi / 2
    start = float((angles[0] - middle + np.pi / 2) % (2 * np.pi) - np.pi / 2)
    end = start + angles[1] - angles[0]
    # What reaches around the far side comes into sight again on the left.
    again = _in_sight(body, middle, (start - 2 * np.pi, end - 2 * np.pi), heights, colour)
    return again + _in_sight(body, middle, (start, end), heights, colour)


def _in_sight(body: Body, middle: float, span: Span, heights: Span, colour: Colour) -> list[Shape]:
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
    shade = _patch(body, (left, right), heights, darker(colour))
    return shade + _patch(body, lit, heights, colour)


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


def _top_pattern(body: Body) -> list[Shape]:
    detail = body.look.top_detail
    match body.look.top_pattern:
        case "stripes across":
            return _bands(body, (0.06, 0.26, 0.46, 0.66, 0.84), 0.09)
        case "stripes down":
            return _stripes_down(body)
        case "checks":
            return _stripes_down(body) + _bands(body, (0.10, 0.38, 0.66), 0.08)
        case "yoke":
            return _around(body, (0.55, 1.0), detail)
        case "open":
            return _patch(body, (-0.45, 0.45), (-0.07, 0.98), detail)
        case "logo":
            front = _patch(body, (-0.5, 0.5), (0.55, 0.78), detail)
            return front + _patch(body, (np.pi - 0.7, np.pi + 0.7), (0.5, 0.8), detail)
    return []


def _bands(body: Body, places: Sequence[float], high: float) -> list[Shape]:
    bands = [(low, low + high) for low in places]
    return [shape for band in bands for shape in _around(body, band, body.look.top_detail)]


def _stripes_down(body: Body) -> list[Shape]:
    spans = [(angle - 0.10, angle + 0.10) for angle in np.arange(10) * np.pi / 5]
    detail = body.look.top_detail
    return [shape for span in spans for shape in _patch(body, span, (-0.06, 0.94), detail)]


def _leg(body: Body, index: int) -> Part:
    """One leg with its shoe, from the hip."""
    limb, look, girth = body.bones.legs[index], body.look, body.build.girth
    loose = 0.007 if look.cut == "trousers" else 0.0
    thigh, knee, ankle = 0.056 * girth, 0.038 * girth + loose, 0.024 + 2 * loose
    shank_colour = look.bottom if look.cut == "trousers" else look.skin
    thigh_colour = look.skin if look.cut == "skirt" else look.bottom
    shank = body.tube(limb.middle, limb.end, knee, ankle, shank_colour)
    upper = body.tube(limb.root, limb.middle, thigh, knee, thigh_colour)
    shapes = [_shoe(body, limb, body.bones.toes[index])]
    if look.cut == "trousers":
        shapes += _shade_first(shank, upper)
    else:
        shapes += [*shank, *upper]
    if look.cut == "shorts":
        below = toward(limb.middle, limb.end, 0.12)
        shapes += body.tube(limb.root, below, thigh, knee + 0.01, look.bottom)
    if look.cut != "skirt":
        shapes += _trouser_pattern(body, limb, thigh)
    return Part(body.nearness(limb.middle), shapes)


def _shoe(body: Body, limb: Limb, toes: Array) -> Shape:
    heel, tip = body.seen(limb.end), body.seen(toes)
    heel[:, 1] += body.pixels(0.012)
    return Shape(capsule(heel, tip, body.pixels(0.025), body.pixels(0.018)), body.look.shoes)


def _trouser_pattern(body: Body, limb: Limb, thigh: float) -> list[Shape]:
    look = body.look
    if look.bottom_pattern == "side stripe":
        ends = [(limb.root, limb.middle), (limb.middle, limb.end)]
        pieces = ends if look.cut == "trousers" else ends[:1]
        return [body.strip(*piece, 0.009, look.bottom_detail) for piece in pieces]
    if look.bottom_pattern == "faded":
        piece = toward(limb.root, limb.middle, 0.3), toward(limb.root, limb.middle, 0.95)
        return [body.strip(*piece, 0.35 * thigh, lighter(look.bottom), aside=0.2 * thigh)]
    if look.bottom_pattern == "bands":
        places = (0.35, 0.6, 0.85)
        return [shape for place in places for shape in _ring(body, limb, place, thigh)]
    return []


def _ring(body: Body, limb: Limb, place: float, thigh: float) -> list[Shape]:
    """A band of the second colour around the thigh."""
    width = thigh * (1 - 0.3 * place)
    ends = toward(limb.root, limb.middle, place), toward(limb.root, limb.middle, place + 0.02)
    return body.tube(*ends, width, width, body.look.bottom_detail)


def _arm(body: Body, index: int) -> Part:
    """One arm with its hand, from the shoulder."""
    limb, look, girth = body.bones.arms[index], body.look, body.build.girth
    shoulder, elbow, wrist = 0.034 * girth, 0.028 * girth, 0.021
    hand = toward(limb.middle, limb.end, 1.22)
    upper = body.tube(limb.root, limb.middle, shoulder, elbow, look.top)
    fore_colour = look.skin if look.short_sleeves else look.top
    fore = body.tube(limb.middle, limb.end, elbow, wrist, fore_colour)
    shapes = body.tube(limb.end, hand, 0.017, 0.016, look.skin)
    shapes += [*fore, *upper] if look.short_sleeves else _shade_first(fore, upper)
    if look.top_pattern == "stripes across":
        for place in (0.35, 0.8):
            ends = toward(limb.root, limb.middle, place), toward(limb.root, limb.middle, place)
            shapes += body.tube(*ends, elbow, elbow, look.top_detail)
    return Part(body.nearness(limb.middle), shapes)


def _shade_first(*tubes: list[Shape]) -> list[Shape]:
    """Shapes of joined tubes, all shades before all lit sides, so that joints do not show."""
    return [tube[side] for side in (0, 1) for tube in tubes]
