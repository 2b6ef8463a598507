import numpy as np
import pytest

from reseen.gallery.thumbnail import make_thumbnail, pixelate_head, read_thumbnail


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
    hidden = pixelate_head(picture)
    np.testing.assert_array_equal(picture, before)
    np.testing.assert_array_equal(hidden[20:], picture[20:])
    blocks = hidden[:20].reshape(2, 10, 4, 12, 3)
    np.testing.assert_array_equal(blocks, blocks[:, :1, :, :1].repeat(10, 1).repeat(12, 3))
    means = picture[:20].reshape(2, 10, 4, 12, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(blocks[:, 0, :, 0], means, atol=1)


@pytest.mark.parametrize("size", [(1, 1), (3, 40), (500, 2)])
def test_pictures_of_any_size_can_be_pixelated(size):
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    assert pixelate_head(picture).shape == picture.shape
