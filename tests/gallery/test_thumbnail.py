import cv2
import numpy as np
import pytest

from reseen.gallery.thumbnail import (
    head_bottom,
    make_thumbnail,
    pixelate,
    quality,
    read_thumbnail,
    still_of,
)


def shades(jpeg):
    """The mean gray of each of the strip's eight pictures' middles."""
    strip = read_thumbnail(jpeg)
    assert strip.shape == (96, 8 * 48, 3)
    return strip.reshape(96, 8, 48, 3)[40:80, :, 10:40].mean(axis=(0, 2, 3))


@pytest.mark.parametrize(
    ("count", "shown"),
    [(8, range(8)), (1, [0] * 8), (3, [0, 0, 1, 1, 1, 1, 2, 2]), (15, range(0, 15, 2))],
)
def test_a_strip_shows_eight_pictures_in_time_order(count, shown):
    pictures = [np.full((128, 64, 3), 15 * number, np.uint8) for number in range(count)]
    found = shades(make_thumbnail(pictures, pixelate_heads=False))
    np.testing.assert_allclose(found, [15 * number for number in shown], atol=3)


def test_the_head_becomes_four_flat_blocks_across_and_the_body_stays():
    picture = np.random.default_rng(0).integers(0, 256, (100, 48, 3), np.uint8)
    before = picture.copy()
    hidden = pixelate(picture, 0.2)
    np.testing.assert_array_equal(picture, before)
    np.testing.assert_array_equal(hidden[20:], picture[20:])
    blocks = hidden[:20].reshape(2, 10, 4, 12, 3)
    np.testing.assert_array_equal(blocks, blocks[:, :1, :, :1].repeat(10, 1).repeat(12, 3))
    means = picture[:20].reshape(2, 10, 4, 12, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(blocks[:, 0, :, 0], means, atol=1)


@pytest.mark.parametrize("size", [(1, 1), (3, 40), (500, 2)])
def test_pictures_of_any_size_can_be_pixelated(size):
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    assert pixelate(picture, head_bottom(picture)).shape == picture.shape


def drawn(backdrop, offset, scale, width=64, height=128):
    """A person in a loose box, with the rows of the head's top and chin.

    Args:
        backdrop: what lies behind: "wall", "shaded" or "lively".
        offset: of the head's top from the box's, as a share of the box's height.
        scale: the person's height, as a share of the box's.
    """
    across = np.linspace(0, 40, height)[:, None] + np.zeros(width)
    noise = np.random.default_rng(1).integers(0, 200, (16, 8)).astype(np.uint8)
    blocks = cv2.resize(noise, (width, height), interpolation=cv2.INTER_NEAREST)
    gray = {"wall": 0 * across + 190, "shaded": 150 + across, "lively": blocks}[backdrop]
    picture = np.repeat(gray.astype(np.uint8)[..., None], 3, axis=2)
    top, tall, middle = round(offset * height), round(scale * height), width // 2

    def at(share):
        return top + round(share * tall)

    cv2.ellipse(
        picture,
        (middle, at(0.07)),
        (at(0.05) - top, at(0.07) - top),
        0,
        0,
        360,
        (205, 150, 120),
        -1,
    )
    half = round(0.13 * tall)
    cv2.rectangle(picture, (middle - half, at(0.17)), (middle + half, at(0.55)), (150, 30, 40), -1)
    for side in (-1, 1):
        leg = middle + side * half // 2
        cv2.rectangle(
            picture, (leg - half // 3, at(0.55)), (leg + half // 3, at(1.0)), (25, 30, 70), -1
        )
    return picture, top, at(0.14)


@pytest.mark.parametrize("backdrop", ["wall", "shaded", "lively"])
@pytest.mark.parametrize("scale", [0.6, 0.7, 0.8, 0.95])
@pytest.mark.parametrize("offset", [0.0, 0.04, 0.1, 0.15, 0.2])
def test_heads_planted_in_loose_boxes_are_hidden_down_to_the_chin(backdrop, offset, scale):
    picture, _, chin = drawn(backdrop, offset, scale)
    assert head_bottom(picture) * len(picture) >= chin


@pytest.mark.parametrize("offset", [0.25, 0.3])
def test_a_low_head_is_found_before_a_plain_wall(offset):
    picture, _, chin = drawn("wall", offset, 0.65)
    assert chin <= head_bottom(picture) * len(picture) <= chin + 0.1 * len(picture)


def test_a_tight_box_keeps_the_clothes():
    picture, _, _ = drawn("wall", 0.02, 0.95)
    assert head_bottom(picture) < 0.26


def test_a_head_that_fills_the_box_is_hidden_as_far_as_the_box_is_wide():
    upper_body = np.zeros((100, 100, 3), np.uint8)
    assert head_bottom(upper_body) > head_bottom(upper_body[:, :50]) + 0.1


def test_the_sharp_the_lit_and_the_whole_are_better():
    sharp, _, _ = drawn("wall", 0.02, 0.95)
    blurred = cv2.GaussianBlur(sharp, (0, 0), 3)
    dark = (sharp * 0.1).astype(np.uint8)
    glaring = np.clip(sharp.astype(int) + 150, 0, 255).astype(np.uint8)
    for worse in (blurred, dark, glaring, sharp[:60], sharp[:, :24]):
        assert quality(worse) < quality(sharp)


def test_a_strip_starts_with_the_best_and_goes_on_in_time():
    sharp, _, _ = drawn("wall", 0.02, 0.95)
    blurred = cv2.GaussianBlur(sharp, (0, 0), 4)
    pictures = [(blurred if number != 5 else sharp) - np.uint8(5 * number) for number in range(8)]
    strip = make_thumbnail(pictures, pixelate_heads=False)
    corners = read_thumbnail(strip).reshape(96, 8, 48, 3)[20:40, :, :6].mean(axis=(0, 2, 3))
    expected = [190 - 5 * number for number in (5, 6, 7, 0, 1, 2, 3, 4)]
    np.testing.assert_allclose(corners, expected, atol=2)
    still = read_thumbnail(still_of(strip))[20:40, :6]
    assert abs(still.mean() - expected[0]) < 2


def test_what_looks_like_a_tight_box_is_hidden_as_far_as_most_others():
    """A striped shirt, which makes the tight one the sharpest and so the first, shows how far."""
    low, _, _ = drawn("wall", 0.3, 0.65)
    tight, _, _ = drawn("wall", 0.02, 0.95)
    tight[36:60, 20:44:4] = 255
    own, usual = (round(96 * head_bottom(picture)) for picture in (tight, low))
    assert own + 10 < usual
    stripes = []
    for pictures in ([tight], [low, low, tight]):
        first = read_thumbnail(make_thumbnail(pictures, pixelate_heads=True))[:, :48, 1].astype(int)
        stripes.append(np.abs(np.diff(first[own + 2 : usual - 2, 16:32], axis=1)).mean())
    assert stripes[0] > 3 * stripes[1]
