"""The five channels against their definitions, computed here in float64."""

import cv2
import numpy as np
import pytest

from reseen.data.coding import CHANNELS, COLOUR_SCALES, pack_frames, unpack_flow, unpack_pictures
from reseen.errors import ReseenError


def plain(*rgb: int) -> np.ndarray:
    return np.full((64, 48, 3), rgb, np.uint8)


def moving_texture(frames: int, down: float, right: float, shape: tuple[int, int]) -> list:
    """Pictures in which everything moves by the same part of a pixel from frame to frame."""
    random = np.random.default_rng(2)
    noise = random.normal(128, 400, (shape[0] + 20, shape[1] + 20, 3)).astype(np.float32)
    texture = cv2.GaussianBlur(noise, (0, 0), 3)
    centre = np.array([shape[1] + 19, shape[0] + 19]) / 2
    places = [centre - number * np.array([right, down]) for number in range(frames)]
    return [
        np.clip(cv2.getRectSubPix(texture, shape[::-1], tuple(place)), 0, 255).astype(np.uint8)
        for place in places
    ]


@pytest.mark.parametrize(
    ("rgb", "stored"),
    [
        ((0, 0, 0), (0, 127.5, 127.5)),
        ((255, 255, 255), (255, 127.5, 127.5)),
        ((255, 0, 0), (76.2, 84.5, 255.0)),
        ((0, 255, 0), (149.7, 43.0, 20.7)),
        ((0, 0, 255), (29.1, 255.0, 106.8)),
    ],
    ids=["black", "white", "red", "green", "blue"],
)
def test_colours_are_stored_as_luma_and_two_differences(rgb, stored):
    (frame,) = pack_frames([plain(*rgb)])
    for channel, expected in zip(frame[:3], stored, strict=True):
        assert np.ptp(channel) == 0
        assert channel[0, 0] == pytest.approx(expected, abs=0.55)


def test_scales_turn_stored_steps_into_the_units_of_the_network():
    """Y, U, V of RGB in 0..1, up to each channel's offset."""
    random = np.random.default_rng(1)
    first, second = random.integers(0, 256, (2, 3))
    matrix = np.array(
        [[0.299, 0.587, 0.114], [-0.14713, -0.28886, 0.436], [0.615, -0.51499, -0.10001]]
    )
    frames = pack_frames([plain(*first), plain(*second)]).astype(float)
    differences = (frames[1] - frames[0])[:3, 0, 0] * COLOUR_SCALES
    np.testing.assert_allclose(differences, matrix @ (second - first) / 255, atol=0.005)
    assert len(CHANNELS) == len(COLOUR_SCALES) + 2 == 5


@pytest.mark.parametrize("shape", [(64, 48), (128, 64), (256, 128)])
def test_uniform_motion_is_stored_in_eighths_of_a_pixel(shape):
    """0.5 pixels down and 0.25 to the left, at the pictures' own size, whatever that is."""
    frames = pack_frames(moving_texture(4, 0.5, -0.25, shape))
    np.testing.assert_array_equal(frames[0, 3:], 127)
    inside = frames[1:, 3:, 8:-8, 8:-8]
    assert np.median(inside[:, 0]) == 127 + 4
    assert np.median(inside[:, 1]) == 127 - 2
    np.testing.assert_array_equal(np.median(unpack_flow(frames[1:]), axis=(0, 2, 3)), [0.5, -0.25])


@pytest.mark.parametrize(("brighter", "stored"), [(60, 0), (-60, 255)])
def test_motion_beyond_the_range_stops_at_its_ends(brighter, stored):
    """A ramp that climbs one gray value a pixel to the right, and moves by 60 at once."""
    ramp = np.tile(100 + np.arange(48)[None, :, None], (64, 1, 3))
    frames = pack_frames([ramp.astype(np.uint8), (ramp + brighter).astype(np.uint8)])
    np.testing.assert_array_equal(frames[1, 4, :, 8:-8], stored)
    np.testing.assert_array_equal(frames[1, 3], 127)


def area_weights(before: int, after: int) -> np.ndarray:
    """(after, before): the share of each old pixel in each new one."""
    edges = np.linspace(0, before, after + 1)
    pixel = np.arange(before)
    shares = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    return shares.clip(0) * after / before


@pytest.mark.parametrize(
    ("shape", "tolerance"),
    [((64, 48), 1), ((128, 96), 1), ((128, 64), 3), ((256, 128), 3), ((200, 60), 6)],
)
def test_pictures_are_shrunk_nearly_as_by_averaging_areas(shape, tolerance):
    (picture,) = moving_texture(1, 0, 0, shape)
    luma = picture @ np.array([0.299, 0.587, 0.114])
    expected = area_weights(shape[0], 64) @ luma @ area_weights(shape[1], 48).T
    (frame,) = pack_frames([picture])
    np.testing.assert_allclose(frame[0], expected, atol=tolerance)


def test_unpacked_pictures_are_those_that_were_packed_but_for_rounding():
    pictures = np.random.default_rng(3).integers(0, 256, (5, 64, 48, 3), np.uint8)
    shown = unpack_pictures(pack_frames(list(pictures)))
    assert shown.dtype == np.uint8
    np.testing.assert_allclose(shown.astype(int), pictures, atol=2)


def test_frames_of_changing_size_are_compared_at_the_size_of_the_first():
    still = moving_texture(1, 0, 0, (128, 64))[0]
    larger = cv2.resize(still, (72, 144), interpolation=cv2.INTER_CUBIC)
    frames = pack_frames([still, larger, still])
    assert frames.shape == (3, 5, 64, 48)
    assert np.abs(np.median(frames[1:, 3:], axis=(2, 3)) - 127).max() <= 1


def test_a_single_picture_has_no_motion():
    (frame,) = pack_frames([plain(1, 2, 3)])
    np.testing.assert_array_equal(frame[3:], 127)


def test_the_order_of_the_pictures_is_the_order_of_time():
    pictures = moving_texture(5, 0.5, 0, (64, 48))
    forwards, backwards = pack_frames(pictures), pack_frames(pictures[::-1])
    np.testing.assert_array_equal(forwards[:, :3], backwards[::-1, :3])
    assert np.median(forwards[1:, 3]) > 127 > np.median(backwards[1:, 3])


def test_an_unknown_flow_is_answered_with_the_known_ones():
    with pytest.raises(ReseenError, match="no flow called dos; choose one of lucas-kanade, dis"):
        pack_frames([plain(0, 0, 0)], "dos")


def test_no_picture_is_nothing_to_pack():
    with pytest.raises(ReseenError, match="no picture"):
        pack_frames([])
