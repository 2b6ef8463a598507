"""Flow against motions that are known, and against the equations solved pixel by pixel."""

import numpy as np
import pytest
from scipy import ndimage

from reseen.data.coding import FLOWS, NOISE_THRESHOLD, dis, lucas_kanade
from reseen.errors import ReseenError

HEIGHT, WIDTH = 64, 48
MOTIONS = {
    "still": (0.0, 0.0),
    "right": (0.0, 0.5),
    "left": (0.0, -0.3),
    "down": (0.6, 0.0),
    "up": (-0.25, 0.0),
    "down and left": (0.4, -0.55),
}


def waves(down: float, right: float) -> np.ndarray:
    """A smooth texture, known at every real position, moved by a part of a pixel."""
    random = np.random.default_rng(5)
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    picture = np.full((HEIGHT, WIDTH), 128.0)
    for _ in range(12):
        fy, fx = random.uniform(-0.5, 0.5, 2)
        picture += 9 * np.sin(fy * (y - down) + fx * (x - right) + random.uniform(0, 6.28))
    return np.rint(picture).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("motion", MOTIONS.values(), ids=MOTIONS)
@pytest.mark.parametrize("flow", FLOWS.values(), ids=FLOWS)
def test_known_motion_is_measured_in_pixels_down_and_right(flow, motion):
    vertical, horizontal = flow(waves(0, 0), waves(*motion))
    inside = (slice(6, -6), slice(6, -6))
    assert np.median(vertical[inside]) == pytest.approx(motion[0], abs=0.06)
    assert np.median(horizontal[inside]) == pytest.approx(motion[1], abs=0.06)
    for field in (vertical, horizontal):
        assert field.shape == (HEIGHT, WIDTH)
        assert field.dtype == np.float32


def test_flow_belongs_to_the_pixels_of_the_current_frame():
    """A spot moves from one place to another; the flow lies where it is now."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]

    def spot(column: float) -> np.ndarray:
        return (200 * np.exp(-((y - 30) ** 2 + (x - column) ** 2) / 18)).astype(np.uint8)

    _, horizontal = dis(spot(20), spot(24))
    assert horizontal[30, 24] == pytest.approx(4, abs=0.5)
    _, horizontal = lucas_kanade(spot(23.5), spot(24))
    assert horizontal[30, 26] == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("direction", [0, 1], ids=["down", "right"])
def test_edge_tells_only_the_motion_across_it(direction):
    """The aperture problem: along a straight edge nothing can be seen to move."""
    position = np.indices((HEIGHT, WIDTH))[direction]

    def edge(place: float) -> np.ndarray:
        return np.rint(40 + 150 / (1 + np.exp(-(position - place) / 2))).astype(np.uint8)

    flow = lucas_kanade(edge(24), edge(24.5))
    np.testing.assert_allclose(flow[1 - direction], 0, atol=1e-5)
    assert flow[direction][24, 24] == pytest.approx(0.5, abs=0.05)


def test_flat_frames_have_no_flow_however_their_brightness_changes():
    dark, bright = (np.full((HEIGHT, WIDTH), gray, np.uint8) for gray in (90, 140))
    for field in lucas_kanade(dark, bright):
        np.testing.assert_array_equal(field, 0)


def by_the_book(previous: np.ndarray, current: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Matlab's steps one after the other, in float64, each pixel solved by its eigenvectors."""
    gray, change = current.astype(float), current.astype(float) - previous
    derivative = np.array([-1, 8, 0, -8, 1]) / 12  # as a convolution
    vertical, horizontal = (
        ndimage.convolve1d(gray, derivative, axis, mode="nearest") for axis in (0, 1)
    )

    def smooth(product: np.ndarray) -> np.ndarray:
        for axis in (0, 1):
            product = ndimage.convolve1d(
                product, np.array([1, 4, 6, 4, 1]) / 16, axis, mode="nearest"
            )
        return product

    matrix = np.stack(
        [
            smooth(vertical * vertical),
            smooth(vertical * horizontal),
            smooth(vertical * horizontal),
            smooth(horizontal * horizontal),
        ],
        axis=-1,
    ).reshape(*gray.shape, 2, 2)
    right_side = np.stack([smooth(vertical * change), smooth(horizontal * change)], axis=-1)
    values, vectors = np.linalg.eigh(matrix)
    along = np.einsum("...ij,...i->...j", vectors, right_side)
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = np.where(values >= NOISE_THRESHOLD, along / values, 0)
    flow = -np.einsum("...ij,...j->...i", vectors, parts)
    return flow[..., 0], flow[..., 1]


@pytest.mark.parametrize("seed", range(4))
def test_lucas_kanade_equals_its_equations_solved_pixel_by_pixel(seed):
    """Texture, a flat patch, a straight edge and the borders, all at once."""
    random = np.random.default_rng(seed)
    noise = random.normal(size=(2, HEIGHT, WIDTH))
    frames = 128 + 90 * ndimage.gaussian_filter(noise, (0, 1.5, 1.5)) / 0.19
    frames[:, 20:40, 10:25] = 77
    frames[:, 45:60, 20:40] = 30
    frames[0, 45:60, 31:40] = frames[1, 45:60, 30:40] = 160
    previous, current = frames.clip(0, 255).astype(np.uint8)
    for measured, expected in zip(
        lucas_kanade(previous, current), by_the_book(previous, current), strict=True
    ):
        np.testing.assert_allclose(measured, expected, rtol=2e-3, atol=2e-3)


def test_dis_says_when_frames_are_too_small_for_it():
    tiny = np.zeros((6, 4), np.uint8)
    with pytest.raises(ReseenError, match="6x4 pixels are too small"):
        dis(tiny, tiny)
