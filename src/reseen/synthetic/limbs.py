"""Legs and arms, in trousers, shorts, skirts and sleeves."""

from reseen.synthetic.body import Body, shade_first
from reseen.synthetic.outlines import Part, Shape, capsule, lighter, toward
from reseen.synthetic.walking import Array, Limb


def leg(body: Body, index: int) -> Part:
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
        shapes += shade_first(shank, upper)
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


def arm(body: Body, index: int) -> Part:
    """One arm with its hand, from the shoulder."""
    limb, look, girth = body.bones.arms[index], body.look, body.build.girth
    shoulder, elbow, wrist = 0.034 * girth, 0.028 * girth, 0.021
    hand = toward(limb.middle, limb.end, 1.22)
    upper = body.tube(limb.root, limb.middle, shoulder, elbow, look.top)
    fore_colour = look.skin if look.short_sleeves else look.top
    fore = body.tube(limb.middle, limb.end, elbow, wrist, fore_colour)
    shapes = body.tube(limb.end, hand, 0.017, 0.016, look.skin)
    shapes += [*fore, *upper] if look.short_sleeves else shade_first(fore, upper)
    if look.top_pattern == "stripes across":
        for place in (0.35, 0.8):
            ends = toward(limb.root, limb.middle, place), toward(limb.root, limb.middle, place)
            shapes += body.tube(*ends, elbow, elbow, look.top_detail)
    return Part(body.nearness(limb.middle), shapes)
