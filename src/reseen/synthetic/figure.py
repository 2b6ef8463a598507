"""A whole walker: trunk, limbs, head and bag, put together."""

import numpy as np

from reseen.synthetic.body import Body, Placement, View
from reseen.synthetic.limbs import arm, leg
from reseen.synthetic.outlines import Figure, Part, Shape, darker, oval, toward
from reseen.synthetic.people import Person
from reseen.synthetic.torso import DEPTH, patch, skirt, torso
from reseen.synthetic.walking import Array, Walk, skeleton

UNDER = 10.0
"""Taken from the nearness of legs: whatever is worn above them hangs over them."""


def figure(person: Person, walk: Walk, view: View, placement: Placement) -> Figure:
    """All that is to be drawn of a walking person."""
    bones = skeleton(person.build, person.posture, walk)
    body = Body(person.look, person.build, bones, view, placement)
    legs = [Part(part.nearness - UNDER, part.shapes) for part in (leg(body, 0), leg(body, 1))]
    chest = body.nearness(bones.neck)
    hanging = skirt(body) if body.look.cut == "skirt" else []
    trunk = Part(chest, [*hanging, *torso(body), *_head(body)])
    return [*legs, trunk, arm(body, 0), arm(body, 1), *_bag(body, chest)]


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
    body: Body,
    aside: tuple[float, float],
    size: tuple[float, float],
    colour: tuple[int, int, int],
) -> Shape:
    """An ellipse on the head; place and half axes in head radii."""
    radius = body.pixels(body.build.head)
    centre = body.seen(body.bones.head) + radius[:, None] * np.array(aside)
    return Shape(oval(centre, size[0] * radius, size[1] * radius), colour)


def _bag(body: Body, chest: Array) -> list[Part]:
    if body.look.bag == "backpack":
        return [_backpack(body, chest)]
    return [_shoulder_bag(body, chest)] if body.look.bag == "shoulder bag" else []


def _backpack(body: Body, chest: Array) -> Part:
    bones, colour = body.bones, body.look.bag_colour
    behind = -(DEPTH * body.build.shoulder + 0.035) * bones.forward
    low, high = (toward(bones.pelvis, bones.neck, place) + behind for place in (0.32, 0.80))
    wide = 0.052 + 0.022 * abs(body.view.facing)
    sack = body.tube(low, high, wide, 0.92 * wide, colour)
    pocket = body.strip(low + 0.2 * behind, toward(low, high, 0.3), 0.6 * wide, darker(colour, 85))
    spans = [(side * 0.75 - 0.12, side * 0.75 + 0.12) for side in (-1, 1)]
    straps = [
        shape for span in spans for shape in patch(body, span, (0.45, 0.97), darker(colour, 80))
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
