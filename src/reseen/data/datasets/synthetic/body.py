"""What a camera sees of a walker: a skeleton and a look become coloured outlines."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from reseen.data.datasets.synthetic.people import Build, Colour, Look, Person
from reseen.data.datasets.synthetic.walking import Array, Limb, Skeleton, Walk, skeleton

SHIFT = 4
"""Outlines are drawn from integers, in 1/16 of a pixel: the same on every machine."""

Picture = NDArray[np.uint8]

# Half the torso's width over its height from hip to neck, in shoulder half-widths.
TORSO_HEIGHTS = np.array([0.0, 0.3, 0.72, 0.93, 1.0])
TORSO_WIDTHS = np.array([0.80, 0.72, 0.88, 0.98, 0.45])
TORSO_DEPTH = 0.62
"""Depth of the torso by its width."""


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


@dataclass(frozen=True, slots=True)
class Placement:
    """Where in the canvas a body stands at each frame, in pixels; arrays of shape (frames,)."""

    across: Array
    ground: Array
    height: Array


@dataclass(frozen=True, slots=True)
class Shape:
    """An outline over time, int32 of shape (frames, corners, 2), in 1/16 pixel; and its colour."""

    outline: NDArray[np.int32]
    colour: Colour


@dataclass(frozen=True, slots=True)
class Part:
    """Shapes that are drawn together, and how near the camera they are, shape (frames,)."""

    nearness: Array
    shapes: list[Shape]


Figure = Sequence[Part]


def draw(canvas: Picture, figure: Figure, frame: int) -> None:
    """Draw a figure as it is at one frame, the farthest part first."""
    for part in sorted(figure, key=lambda part: part.nearness[frame]):
        for shape in part.shapes:
            cv2.fillPoly(canvas, [shape.outline[frame]], shape.colour, cv2.LINE_AA, SHIFT)


def figure(person: Person, walk: Walk, view: View, placement: Placement) -> Figure:
    """All that is to be drawn of a walking person."""
    bones = skeleton(person.build, person.posture, walk)
    return _Tailor(person.look, person.build, bones, view, placement).figure()


def darker(colour: Colour, percent: int = 72) -> Colour:
    """A colour in the shade."""
    red, green, blue = (part * percent // 100 for part in colour)
    return red, green, blue


def lighter(colour: Colour) -> Colour:
    """A colour washed out."""
    red, green, blue = (part + (255 - part) // 4 for part in colour)
    return red, green, blue


@dataclass(frozen=True, slots=True)
class _Tailor:
    """Cuts the outlines of one walker in one view."""

    look: Look
    build: Build
    bones: Skeleton
    view: View
    placement: Placement

    def figure(self) -> Figure:
        hip_depth, chest_depth = self.near(self.bones.pelvis), self.near(self.bones.neck)
        legs = [self.leg(index) for index in (0, 1)]
        # Legs lie under the hem of whatever is worn above them.
        under = [Part(part.nearness - 10, part.shapes) for part in legs]
        skirt = [Part(hip_depth - 5, self.skirt())] if self.look.cut == "skirt" else []
        trunk = Part(chest_depth, [*self.torso(), *self.hem(), *self.neck_and_head()])
        return [*under, *skirt, trunk, self.arm(0), self.arm(1), *self.bag(chest_depth)]

    # Points of the body -> points of the canvas

    def flat(self, points: Array) -> Array:
        """Project (frames, 3) body points to (frames, 2) canvas points."""
        x, y, z = points[:, 0], points[:, 1], points[:, 2]
        right = x * np.cos(self.view.azimuth) + y * np.sin(self.view.azimuth)
        near = x * np.sin(self.view.azimuth) - y * np.cos(self.view.azimuth)
        down = near * np.sin(self.view.elevation) - z * np.cos(self.view.elevation)
        place = self.placement
        return np.stack(
            [place.across + place.height * right, place.ground + place.height * down], axis=-1
        )

    def near(self, points: Array) -> Array:
        """How near the camera (frames, 3) body points are."""
        x, y = points[:, 0], points[:, 1]
        return np.asarray(x * np.sin(self.view.azimuth) - y * np.cos(self.view.azimuth))

    def size(self, length: float) -> Array:
        """A length in body heights as pixels, (frames, 1)."""
        return self.placement.height[:, None] * length

    # Limbs

    def tube(
        self, start: Array, end: Array, thick: float, thin: float, colour: Colour
    ) -> list[Shape]:
        """A round limb from `start` to `end` with its lit side."""
        first, last = self.flat(start), self.flat(end)
        lit = np.stack([self.size(0.25 * thick)[:, 0] * self.view.light, np.zeros(len(first))], -1)
        dark = _capsule(first, last, self.size(thick), self.size(thin))
        light = _capsule(first + lit, last + lit, self.size(0.7 * thick), self.size(0.7 * thin))
        return [Shape(dark, darker(colour)), Shape(light, colour)]

    def strip(
        self, start: Array, end: Array, thick: float, aside: float, colour: Colour
    ) -> list[Shape]:
        """A stripe along a limb, `aside` of its middle towards the light."""
        move = np.stack([self.size(aside)[:, 0] * self.view.light, np.zeros(len(start))], axis=-1)
        first, last = self.flat(start) + move, self.flat(end) + move
        return [Shape(_capsule(first, last, self.size(thick), self.size(thick)), colour)]

    def leg(self, index: int) -> Part:
        limb, toe, look = self.bones.legs[index], self.bones.toes[index], self.look
        girth = self.build.girth
        thigh, knee, ankle = 0.056 * girth, 0.040 * girth, 0.026
        loose = 0.006 if look.cut == "trousers" else 0.0
        upper = look.skin if look.cut == "skirt" else look.bottom
        lower = look.bottom if look.cut == "trousers" else look.skin
        shapes = [Shape(self.foot(limb, toe), look.shoes)]
        shapes += self.tube(limb.middle, limb.end, knee + loose, ankle + 2 * loose, lower)
        shapes += self.tube(limb.root, limb.middle, thigh, knee + loose, upper)
        if look.cut == "shorts":
            shapes += self.tube(
                limb.root, _between(limb.middle, limb.end, 0.1), thigh, knee + 0.01, upper
            )
        if look.cut != "skirt":
            shapes += self.leg_pattern(limb, thigh)
        return Part(self.near(limb.middle), shapes)

    def foot(self, limb: Limb, toe: Array) -> NDArray[np.int32]:
        heel, tip = self.flat(limb.end), self.flat(toe)
        return _capsule(heel + np.array([0.0, 2.0]), tip, self.size(0.024), self.size(0.018))

    def leg_pattern(self, limb: Limb, thigh: float) -> list[Shape]:
        look = self.look
        if look.bottom_pattern == "side stripe":
            long = look.cut == "trousers"
            shapes = self.strip(limb.root, limb.middle, 0.009, 0, look.bottom_detail)
            return shapes + (
                self.strip(limb.middle, limb.end, 0.009, 0, look.bottom_detail) if long else []
            )
        if look.bottom_pattern == "faded":
            high, low = (
                _between(limb.root, limb.middle, 0.3),
                _between(limb.root, limb.middle, 0.95),
            )
            return self.strip(high, low, 0.35 * thigh, 0.2 * thigh, lighter(look.bottom))
        if look.bottom_pattern == "bands":
            return [shape for part in (0.3, 0.6, 0.9) for shape in self.band(limb, part, thigh)]
        return []

    def band(self, limb: Limb, part: float, thigh: float) -> list[Shape]:
        """A ring of the second colour around the thigh."""
        high = self.flat(_between(limb.root, limb.middle, part))
        low = self.flat(_between(limb.root, limb.middle, part + 0.1))
        width = self.size(thigh * (1 - 0.25 * part))
        across = _across(high, low) * width
        corners = np.stack([high - across, high + across, low + across, low - across], axis=1)
        return [Shape(_fixed(corners), self.look.bottom_detail)]

    def arm(self, index: int) -> Part:
        limb, look, girth = self.bones.arms[index], self.look, self.build.girth
        thick, thin = 0.034 * girth, 0.026 * girth
        hand = limb.end + 0.5 * (limb.end - _between(limb.middle, limb.end, 0.5))
        shapes = self.tube(limb.end, hand, 0.018, 0.016, look.skin)
        lower = look.skin if look.short_sleeves else look.top
        shapes += self.tube(limb.middle, limb.end, thin, 0.020, lower)
        shapes += self.tube(limb.root, limb.middle, thick, thin, look.top)
        if look.top_pattern == "stripes across" and not look.short_sleeves:
            shapes += self.tube(
                _between(limb.root, limb.middle, 0.75), limb.middle, thin, thin, look.top_detail
            )
        return Part(self.near(limb.middle) * 1.0, shapes)

    # Torso: patches on an upright elliptic tube

    def surface(self, angle: float, height: float) -> Array:
        """Picture points of the torso's skin; angle 0 in front, pi / 2 at the left side."""
        bones = self.bones
        width = float(np.interp(height, TORSO_HEIGHTS, TORSO_WIDTHS)) * self.build.shoulder
        width *= 0.5 + 0.5 * self.build.girth if height < 0.9 else 1.0
        middle = _between(bones.pelvis, bones.neck, height)
        across = width * np.sin(angle) * bones.left
        along = TORSO_DEPTH * width * np.cos(angle) * bones.forward
        return self.flat(middle + across + along)

    def patch(
        self, angles: tuple[float, float], heights: tuple[float, float], colour: Colour
    ) -> list[Shape]:
        """The visible share of a patch of cloth, nothing where it faces away."""
        # Seen from the camera the tube ends where its skin turns away, left and right.
        right = np.arctan2(np.sin(self.view.azimuth), TORSO_DEPTH * np.cos(self.view.azimuth))
        middle = right - np.pi / 2
        start, end = (_wrapped(angle - middle) for angle in angles)
        if end < start:  # the patch spans the far side's seam
            start, end = (start, np.pi / 2) if start < np.pi / 2 else (-np.pi / 2, end)
        start, end = max(start, -np.pi / 2), min(end, np.pi / 2)
        if end - start < 0.05:
            return []
        inner = [height for height in TORSO_HEIGHTS if heights[0] < height < heights[1]]
        levels = [heights[0], *inner, heights[1]]
        one = [self.surface(middle + start, level) for level in levels]
        other = [self.surface(middle + end, level) for level in reversed(levels)]
        return [Shape(_fixed(np.stack(one + other, axis=1)), colour)]

    def around(self, heights: tuple[float, float], colour: Colour) -> list[Shape]:
        """A band of cloth around the torso, its lit side lighter."""
        right = np.arctan2(np.sin(self.view.azimuth), TORSO_DEPTH * np.cos(self.view.azimuth))
        whole, half = (right - np.pi + 1e-9, right - 1e-9), 0.35 * np.pi
        lit = (whole[0] + half, whole[1]) if self.view.light > 0 else (whole[0], whole[1] - half)
        return self.patch(whole, heights, darker(colour)) + self.patch(lit, heights, colour)

    def torso(self) -> list[Shape]:
        look = self.look
        shapes = self.around((-0.06, 1.0), look.top)
        return shapes + _TOPS[look.top_pattern](self)

    def hem(self) -> list[Shape]:
        """The skirts of a coat, down to the middle of the thighs."""
        return self.drape(0.55, 0.012, self.look.top) if self.look.coat else []

    def skirt(self) -> list[Shape]:
        shapes = self.drape(0.95, 0.02, self.look.bottom)
        if self.look.bottom_pattern == "bands":
            shapes += self.drape(0.95, 0.02, self.look.bottom_detail)[:1]
            shapes += self.drape(0.75, 0.015, self.look.bottom)
        return shapes

    def drape(self, down: float, flare: float, colour: Colour) -> list[Shape]:
        """Cloth hanging from the waist over both thighs, `down` of the way to the knees."""
        ends = [self.flat(_between(leg.root, leg.middle, down)) for leg in self.bones.legs]
        wide = self.size(0.045 * self.build.girth + flare)[:, 0]
        left = np.minimum(ends[0][:, 0], ends[1][:, 0]) - wide
        right = np.maximum(ends[0][:, 0], ends[1][:, 0]) + wide
        bottom = np.maximum(ends[0][:, 1], ends[1][:, 1])
        angle = np.arctan2(np.sin(self.view.azimuth), TORSO_DEPTH * np.cos(self.view.azimuth))
        waist = [self.surface(angle - np.pi, 0.12), self.surface(angle, 0.12)]
        corners = [waist[0], waist[1], np.stack([right, bottom], -1), np.stack([left, bottom], -1)]
        middle = (corners[0] + corners[1]) / 2, (corners[2] + corners[3]) / 2
        lit = [middle[0], corners[1], corners[2], middle[1]]
        if self.view.light < 0:
            lit = [corners[0], middle[0], middle[1], corners[3]]
        return [
            Shape(_fixed(np.stack(corners, axis=1)), darker(colour)),
            Shape(_fixed(np.stack(lit, axis=1)), colour),
        ]

    # Head and bag

    def neck_and_head(self) -> list[Shape]:
        look, bones, radius = self.look, self.bones, self.build.head
        facing, sideways = np.sin(self.view.azimuth), np.cos(self.view.azimuth)
        throat = self.tube(
            _between(bones.neck, bones.head, -0.1), bones.head, 0.032, 0.032, look.skin
        )
        centre = self.flat(bones.head)
        hair = [Shape(self.oval(centre, 0.88 * radius, radius), look.hair)]
        face_centre = centre + self.size(radius) * np.array([0.42 * sideways, 0.22])
        face = [
            Shape(
                self.oval(face_centre, (0.50 + 0.22 * abs(facing)) * radius, 0.74 * radius),
                look.skin,
            )
        ]
        shapes = hair + (face if facing > -0.35 else [])
        if not look.long_hair:
            return throat + shapes
        back = centre + self.size(radius) * np.array([-0.45 * sideways, 0.75])
        mane = [
            Shape(self.oval(back, (0.55 + 0.3 * abs(facing)) * radius, 1.15 * radius), look.hair)
        ]
        return mane + throat + shapes if facing > 0 else throat + shapes + mane

    def oval(self, centre: Array, wide: float, high: float) -> NDArray[np.int32]:
        turn = np.linspace(0, 2 * np.pi, 14, endpoint=False)
        rim = np.stack([wide * np.cos(turn), high * np.sin(turn)], axis=-1)
        return _fixed(centre[:, None] + self.placement.height[:, None, None] * rim)

    def bag(self, chest_depth: Array) -> list[Part]:
        if self.look.bag == "backpack":
            return [self.backpack(chest_depth)]
        return [self.shoulder_bag(chest_depth)] if self.look.bag == "shoulder bag" else []

    def backpack(self, chest_depth: Array) -> Part:
        bones, look = self.bones, self.look
        behind = -(TORSO_DEPTH * self.build.shoulder + 0.035) * bones.forward
        low, high = (_between(bones.pelvis, bones.neck, at) + behind for at in (0.32, 0.80))
        wide = 0.052 + 0.022 * abs(float(np.sin(self.view.azimuth)))
        shapes = self.tube(low, high, wide, wide * 0.92, look.bag_colour)
        pocket = _between(low, high, 0.1) + 0.2 * behind
        shapes += self.tube(
            pocket, _between(low, high, 0.3), 0.6 * wide, 0.6 * wide, darker(look.bag_colour, 85)
        )
        for side in (-1, 1):
            angles = (side * 0.75 - 0.12, side * 0.75 + 0.12)
            shapes += self.patch(angles, (0.45, 0.97), darker(look.bag_colour, 80))
        return Part(chest_depth - 0.12 * np.sin(self.view.azimuth), shapes)

    def shoulder_bag(self, chest_depth: Array) -> Part:
        bones, look = self.bones, self.look
        side = look.bag_side * (0.8 * self.build.shoulder + 0.035) * bones.left
        low, high = (_between(bones.pelvis, bones.neck, at) + side for at in (-0.22, 0.05))
        shoulder = bones.neck - 0.6 * look.bag_side * self.build.shoulder * bones.left
        strap = self.strip(high, shoulder, 0.008, 0, darker(look.bag_colour, 80))
        shapes = strap + self.tube(low, high, 0.052, 0.046, look.bag_colour)
        return Part(chest_depth + 0.15 * self.near(look.bag_side * bones.left), shapes)


def _plain(tailor: _Tailor) -> list[Shape]:  # noqa: ARG001
    return []


def _stripes_across(tailor: _Tailor) -> list[Shape]:
    bands = [(low, low + 0.09) for low in (0.06, 0.26, 0.46, 0.66, 0.84)]
    return [shape for band in bands for shape in tailor.around(band, tailor.look.top_detail)]


def _stripes_down(tailor: _Tailor) -> list[Shape]:
    angles = np.arange(12) * np.pi / 6
    return [
        shape
        for angle in angles
        for shape in tailor.patch(
            (angle - 0.09, angle + 0.09), (-0.05, 0.95), tailor.look.top_detail
        )
    ]


def _checks(tailor: _Tailor) -> list[Shape]:
    bands = [(low, low + 0.07) for low in (0.12, 0.40, 0.68)]
    across = [shape for band in bands for shape in tailor.around(band, tailor.look.top_detail)]
    return _stripes_down(tailor) + across


def _yoke(tailor: _Tailor) -> list[Shape]:
    return tailor.around((0.55, 1.0), tailor.look.top_detail)


def _open(tailor: _Tailor) -> list[Shape]:
    return tailor.patch((-0.45, 0.45), (-0.06, 0.98), tailor.look.top_detail)


def _logo(tailor: _Tailor) -> list[Shape]:
    front = tailor.patch((-0.5, 0.5), (0.55, 0.78), tailor.look.top_detail)
    return front + tailor.patch((np.pi - 0.7, np.pi + 0.7), (0.5, 0.8), tailor.look.top_detail)


_TOPS = {
    "plain": _plain,
    "stripes across": _stripes_across,
    "stripes down": _stripes_down,
    "checks": _checks,
    "yoke": _yoke,
    "open": _open,
    "logo": _logo,
}


def _between(start: Array, end: Array, share: float) -> Array:
    return start + share * (end - start)


def _wrapped(angle: float) -> float:
    """The same angle between -pi and pi."""
    return float((angle + np.pi) % (2 * np.pi) - np.pi)


def _across(start: Array, end: Array) -> Array:
    """Unit vectors across a line, (frames, 2)."""
    along = end - start
    length = np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-6)[:, None]
    return np.stack([-along[:, 1], along[:, 0]], axis=-1) / length


def _capsule(start: Array, end: Array, thick: Array, thin: Array) -> NDArray[np.int32]:
    """The outline of a limb: two half circles and the lines between them, 10 corners."""
    across = _across(start, end)
    along = np.stack([across[:, 1], -across[:, 0]], axis=-1)
    turn = np.linspace(0, np.pi, 5)[None, :, None]
    round_start = across[:, None] * np.cos(turn) - along[:, None] * np.sin(turn)
    round_end = along[:, None] * np.sin(turn) - across[:, None] * np.cos(turn)
    first = start[:, None] + thick[:, None] * round_start
    last = end[:, None] + thin[:, None] * round_end
    return _fixed(np.concatenate([first, last], axis=1))


def _fixed(points: Array) -> NDArray[np.int32]:
    """Picture points as integers, in 1/16 pixel."""
    return np.rint(points * (1 << SHIFT)).astype(np.int32)
