import numpy as np
import pytest

from reseen.gallery.thumbnail import make_thumbnail, read_thumbnail


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
