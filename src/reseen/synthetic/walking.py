"""How a body moves: joint positions over time from build, posture and tempo.

The body's own axes are x forward, y to its left, z up; lengths are in body heights, the ground
lies at z = 0 and the pelvis above the origin.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reseen.synthetic.people import Build, Person, Posture, Tempo, between

FRAME_RATE = 25.0
"""Frames a second."""

ANKLE_HEIGHT = 0.045
HIP_HALF_WIDTH = 0.052
TORSO = 0.30
ROCKING = 0.08
"""How far the upper body rocks, in radians."""

SPRING = 0.016
"""How far the body springs up and down. Like `ROCKING` it is the same for everybody and not locked
to the stride, so that single frames do not tell how often it happens."""

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Limb:
    """Three joints of an arm or a leg, each of shape (frames, 3)."""

    root: Array
    middle: Array
    end: Array


@dataclass(frozen=True, slots=True)
class Skeleton:
    """Joint positions over time; points and directions have the shape (frames, 3)."""

    pelvis: Array
    neck: Array
    head: Array
    left: Array
    forward: Array
    legs: tuple[Limb, Limb]
    toes: tuple[Array, Array]
    arms: tuple[Limb, Limb]


@dataclass(frozen=True, slots=True)
class Walk:
    """One walk: where in its cycles the body is at each frame, in radians, shape (frames,)."""

    stride: Array
    rocking: Array
    springing: Array


def random_walk(tempo: Tempo, frames: int, rng: np.random.Generator) -> Walk:
    """Start walking at a random moment; nobody keeps a tempo to better than 2 %."""
    seconds = np.arange(frames) / FRAME_RATE

    def cycle(rate: float) -> Array:
        return between(rng, 0, 2 * np.pi) + 2 * np.pi * between(rng, 0.98, 1.02) * rate * seconds

    return Walk(cycle(tempo.cadence), cycle(tempo.rocking), cycle(tempo.springing))


def stride_length(person: Person) -> float:
    """How far one stride carries, in body heights."""
    return 4 * person.build.leg * float(np.sin(person.posture.stride))


def skeleton(build: Build, posture: Posture, walk: Walk) -> Skeleton:
    """Put the body into the poses of a walk."""
    legs = [_leg(build, posture, walk.stride, side) for side in (1, -1)]
    # The lower foot stands on the ground, so the pelvis rises and falls as it does in walking.
    height = np.maximum(-legs[0][0].end[:, 2], -legs[1][0].end[:, 2]) + ANKLE_HEIGHT
    height = height + SPRING * np.sin(walk.springing)
    pelvis = _vectors(0, posture.sway * np.sin(walk.stride), height)
    pitch = posture.lean + ROCKING * np.sin(walk.rocking)
    roll = ROCKING * np.cos(walk.rocking) - 2 * posture.sway * np.sin(walk.stride)
    spine = _vectors(np.sin(pitch), np.sin(roll), np.cos(pitch))
    neck = pelvis + TORSO * spine
    turn = 0.10 * np.cos(walk.stride)
    left = _vectors(-np.sin(turn), np.cos(turn), 0)
    arms = [_arm(build, posture, walk.stride, side, neck, left) for side in (1, -1)]
    return Skeleton(
        pelvis=pelvis,
        neck=neck,
        head=neck + (0.036 + build.head) * _vectors(np.sin(pitch) * 0.7 + 0.12, np.sin(roll), 1),
        left=left,
        forward=_vectors(np.cos(turn), np.sin(turn), 0),
        legs=(_moved(legs[0][0], pelvis), _moved(legs[1][0], pelvis)),
        toes=(legs[0][1] + pelvis, legs[1][1] + pelvis),
        arms=(arms[0], arms[1]),
    )


def _leg(build: Build, posture: Posture, stride: Array, side: int) -> tuple[Limb, Array]:
    """Hip, knee and ankle, and the toes, relative to the pelvis; heel strike at phase 0."""
    phase = stride if side > 0 else stride + np.pi
    hip = 0.08 + posture.stride * np.cos(phase)
    swing, stance = _bump(phase, 0.72), _bump(phase, 0.15)
    shank = hip - (0.06 + 0.2 * stance + posture.knee_lift * swing)
    sole = 0.75 * np.minimum(shank, 0.25)
    root = _vectors(0, side * HIP_HALF_WIDTH, np.zeros_like(phase))
    knee = root + 0.5 * build.leg * _vectors(np.sin(hip), 0, -np.cos(hip))
    ankle = knee + 0.5 * build.leg * _vectors(np.sin(shank), 0, -np.cos(shank))
    toes = ankle + _vectors(0.105 * np.cos(sole), side * 0.015, 0.105 * np.sin(sole) - 0.025)
    return Limb(root, knee, ankle), toes


def _arm(
    build: Build, posture: Posture, stride: Array, side: int, neck: Array, left: Array
) -> Limb:
    """Shoulder, elbow and wrist; an arm swings against the leg of its side."""
    swing = -posture.arm_swing * np.cos(stride if side > 0 else stride + np.pi)
    bent = swing + posture.elbow + 0.4 * np.maximum(swing, 0)
    shoulder = (
        neck + side * 0.9 * build.shoulder * left - _vectors(0, 0, np.full_like(stride, 0.035))
    )
    elbow = shoulder + 0.165 * _vectors(np.sin(swing), side * 0.13, -np.cos(swing))
    wrist = elbow + 0.155 * _vectors(np.sin(bent), side * 0.02, -np.cos(bent))
    return Limb(shoulder, elbow, wrist)


def _bump(phase: Array, centre: float) -> Array:
    """A smooth hump once a stride, a quarter of the stride wide."""
    return np.asarray(((1 + np.cos(phase - 2 * np.pi * centre)) / 2) ** 4)


def _moved(limb: Limb, offset: Array) -> Limb:
    return Limb(limb.root + offset, limb.middle + offset, limb.end + offset)


def _vectors(x: Array | float, y: Array | float, z: Array | float) -> Array:
    return np.stack(np.broadcast_arrays(x, y, z), axis=-1).astype(np.float64)
