"""Who is drawn: how people look, how they are built and how they walk."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

Colour = tuple[int, int, int]
"""Red, green, blue, 0 to 255."""

Chosen = TypeVar("Chosen")

PEOPLE = 1
"""Stream of random numbers for what people are like."""

CLOTH: tuple[Colour, ...] = (
    (34, 34, 40),  # black
    (92, 94, 98),  # grey
    (40, 50, 86),  # navy
    (200, 200, 198),  # white
    (112, 84, 62),  # brown
    (142, 52, 54),  # red
    (78, 106, 144),  # blue
    (172, 158, 130),  # beige
    (74, 92, 66),  # green
    (160, 164, 170),  # light grey
    (104, 46, 72),  # wine
    (190, 154, 66),  # mustard
    (186, 128, 140),  # pink
    (66, 128, 128),  # teal
)
"""Colours of clothes, the most usual first."""

SKIN: tuple[Colour, ...] = ((214, 172, 148), (190, 144, 116), (146, 102, 78), (98, 68, 54))
HAIR: tuple[Colour, ...] = (
    (30, 26, 26),
    (66, 46, 34),
    (112, 84, 56),
    (164, 132, 88),
    (150, 148, 146),
)
SHOES: tuple[Colour, ...] = ((28, 26, 28), (84, 60, 44), (186, 184, 182))

TOPS = ("plain", "plain", "stripes across", "stripes down", "checks", "yoke", "open", "logo")
BOTTOMS = ("plain", "plain", "side stripe", "faded", "bands")
CUTS = ("trousers", "trousers", "trousers", "shorts", "skirt")
BAGS = ("none", "none", "backpack", "shoulder bag")


@dataclass(frozen=True, slots=True)
class Look:
    """What a single picture shows of a person's clothes, hair, skin and bag."""

    top: Colour
    top_detail: Colour
    top_pattern: str
    coat: bool
    short_sleeves: bool
    bottom: Colour
    bottom_detail: Colour
    bottom_pattern: str
    cut: str
    shoes: Colour
    skin: Colour
    hair: Colour
    long_hair: bool
    bag: str
    bag_colour: Colour
    bag_side: int


@dataclass(frozen=True, slots=True)
class Build:
    """Limb proportions; lengths are fractions of the body's height."""

    leg: float
    shoulder: float
    girth: float
    head: float


@dataclass(frozen=True, slots=True)
class Posture:
    """Which poses a person's walk goes through; angles in radians, lengths in body heights.

    All of it shows in a heap of single frames, whatever their order.
    """

    stride: float
    knee_lift: float
    arm_swing: float
    elbow: float
    lean: float
    sway: float


@dataclass(frozen=True, slots=True)
class Tempo:
    """How fast a person goes through these poses; it leaves single frames as they are.

    Attributes:
        cadence: strides (two steps) a second.
        rocking: how often a second the upper body rocks.
        springing: how often a second the body springs up.
    """

    cadence: float
    rocking: float
    springing: float


@dataclass(frozen=True, slots=True)
class Person:
    """Everything that tells one drawn person from another."""

    look: Look
    build: Build
    posture: Posture
    tempo: Tempo


def random_person(seed: int, number: int, colours: int, twin: bool, same_gait: bool) -> Person:
    """Invent person `number`, the same one for the same seed.

    Args:
        number: 1 and up; nobody is number 0, in whom the shared traits have their source.
        colours: how many colours clothes come in.
        twin: whether only the tempo of the walk is the person's own.
        same_gait: whether only the look is the person's own.
    """
    sources = (np.random.default_rng([seed, PEOPLE, source]) for source in (number, 0))
    person, model = (anybody(rng, colours) for rng in sources)
    if twin:
        return replace(model, tempo=person.tempo)
    return replace(model, look=person.look) if same_gait else person


def anybody(rng: np.random.Generator, colours: int) -> Person:
    """Invent somebody, dressed in the first `colours` colours of `CLOTH`."""
    return Person(
        look=_look(rng, CLOTH[:colours]),
        build=Build(
            leg=between(rng, 0.46, 0.51),
            shoulder=between(rng, 0.105, 0.130),
            girth=between(rng, 0.85, 1.25),
            head=between(rng, 0.062, 0.072),
        ),
        posture=Posture(
            stride=between(rng, 0.30, 0.46),
            knee_lift=between(rng, 0.75, 1.20),
            arm_swing=between(rng, 0.12, 0.60),
            elbow=between(rng, 0.10, 0.80),
            lean=between(rng, -0.02, 0.16),
            sway=between(rng, 0.0, 0.016),
        ),
        tempo=Tempo(
            cadence=between(rng, 0.55, 1.35),
            rocking=between(rng, 0.3, 2.2),
            springing=between(rng, 0.6, 3.6),
        ),
    )


def _look(rng: np.random.Generator, cloth: Sequence[Colour]) -> Look:
    return Look(
        top=_shade(rng, choice(rng, cloth)),
        top_detail=_shade(rng, choice(rng, cloth)),
        top_pattern=choice(rng, TOPS),
        coat=bool(rng.random() < 0.2),
        short_sleeves=bool(rng.random() < 0.35),
        bottom=_shade(rng, choice(rng, cloth)),
        bottom_detail=_shade(rng, choice(rng, cloth)),
        bottom_pattern=choice(rng, BOTTOMS),
        cut=choice(rng, CUTS),
        shoes=choice(rng, SHOES),
        skin=_shade(rng, choice(rng, SKIN)),
        hair=_shade(rng, choice(rng, HAIR)),
        long_hair=bool(rng.random() < 0.4),
        bag=choice(rng, BAGS),
        bag_colour=_shade(rng, choice(rng, cloth)),
        bag_side=choice(rng, (-1, 1)),
    )


def _shade(rng: np.random.Generator, colour: Colour) -> Colour:
    """A colour a little lighter or darker: two black coats are never quite the same."""
    red, green, blue = (min(255, max(0, part + int(rng.integers(-8, 9)))) for part in colour)
    return red, green, blue


def darker(colour: Sequence[int], by: int = 72, of: int = 100) -> Colour:
    """A colour in the shade."""
    red, green, blue = (part * by // of for part in colour)
    return red, green, blue


def lighter(colour: Colour) -> Colour:
    """A colour washed out."""
    red, green, blue = (part + (255 - part) // 4 for part in colour)
    return red, green, blue


def choice(rng: np.random.Generator, values: Sequence[Chosen]) -> Chosen:
    """One of the values, each equally likely."""
    return values[int(rng.integers(len(values)))]


def between(rng: np.random.Generator, low: float, high: float) -> float:
    """A number between two bounds, each equally likely."""
    return low + (high - low) * float(rng.random())
