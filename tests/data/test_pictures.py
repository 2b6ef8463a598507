"""Pictures that can be read, and every way in which one can be broken."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from reseen.data.pictures import read_picture
from reseen.errors import ReseenError


@pytest.fixture
def colours() -> np.ndarray:
    """(48, 32, 3) RGB: the left half pure red, the right half a random texture."""
    picture = np.random.default_rng(0).integers(0, 256, (48, 32, 3), np.uint8)
    picture[:, :16] = (255, 0, 0)
    return picture


def written(path: Path, picture: np.ndarray) -> bytes:
    cv2.imwrite(str(path), picture[..., ::-1])
    return path.read_bytes()


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".ppm"])
def test_pictures_are_read_as_red_green_blue(tmp_path, colours, suffix):
    path = tmp_path / f"picture{suffix}"
    written(path, colours)
    np.testing.assert_array_equal(read_picture(path), colours)


@pytest.mark.parametrize(
    "stored",
    [
        np.full((8, 6), 100, np.uint8),
        np.full((8, 6), 100 * 256, np.uint16),
        np.full((8, 6, 4), (100, 100, 100, 7), np.uint8),
    ],
    ids=["gray", "16 bits", "transparent"],
)
def test_other_kinds_of_pixels_become_three_bytes(tmp_path, stored):
    cv2.imwrite(str(tmp_path / "picture.png"), stored)
    picture = read_picture(tmp_path / "picture.png")
    assert picture.dtype == np.uint8
    np.testing.assert_array_equal(picture, np.full((8, 6, 3), 100))


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_sixteen_bits_are_scaled_by_those_in_use(tmp_path, bits):
    ramp = np.linspace(0, 2**bits - 1, 16).round().astype(np.uint16).reshape(4, 4)
    cv2.imwrite(str(tmp_path / "picture.png"), ramp)
    np.testing.assert_allclose(
        read_picture(tmp_path / "picture.png")[..., 1], ramp * (255 / (2**bits - 1)), atol=1
    )


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("kept", [0.05, 0.5, 0.99])
def test_a_picture_without_its_end_is_refused(tmp_path, colours, suffix, kept):
    """Decoders would return it with its lower part gray."""
    path = tmp_path / f"picture{suffix}"
    content = written(path, colours)
    whole = int(len(content) * kept)
    for ending in (b"", bytes(len(content) - whole)):
        path.write_bytes(content[:whole] + ending)
        with pytest.raises(ReseenError, match=rf"picture{suffix} is cut short"):
            read_picture(path)


def test_the_end_of_a_thumbnail_inside_is_not_the_end_of_the_picture(tmp_path, colours):
    path = tmp_path / "picture.jpg"
    thumbnail = written(path, colours[:16, :16])
    content = written(path, colours)
    segment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    with_thumbnail = content[:2] + segment + content[2:]
    path.write_bytes(with_thumbnail)
    assert read_picture(path).shape == colours.shape
    path.write_bytes(with_thumbnail[:-40])
    with pytest.raises(ReseenError, match="cut short"):
        read_picture(path)


def test_bytes_after_the_end_do_no_harm(tmp_path, colours):
    path = tmp_path / "picture.jpg"
    path.write_bytes(written(path, colours) + bytes(1000))
    assert read_picture(path).shape == colours.shape


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"these are words", "is not a picture"),
        (b"\xff\xd8\xff\xda\xff\xd9", "is not a picture"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\0IEND\xaeB`\x82", "is not a picture"),
        (b"P6 99999999 99999999 255\n", "is not a picture"),
    ],
    ids=["empty", "words", "hollow JPEG", "hollow PNG", "a billion pixels"],
)
def test_what_is_no_picture_is_named(tmp_path, content, reason):
    path = tmp_path / "0007.jpg"
    path.write_bytes(content)
    with pytest.raises(ReseenError, match=rf"0007.jpg {reason}"):
        read_picture(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ReseenError, match=r"gone\.jpg cannot be read: No such file"):
        read_picture(tmp_path / "gone.jpg")
