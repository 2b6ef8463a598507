"""A walker's body as a camera sees it: from points in space to points of the picture."""

from dataclasses import dataclass

import numpy as np

from reseen.synthetic.outlines import Shape, capsule, darker
from reseen.synthetic.people import Build, Colour, Look
from reseen.synthetic.walking import Array, Skeleton


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


def shade_first(*tubes: list[Shape]) -> list[Shape]:
    """Shapes of joined tubes, all shades before all lit sides, so that joints do not show."""
    return [tube[side] for side in (0, 1) for tube in tubes]
