"""Pictures that can be read, and every way in which one can be broken."""

import io
import struct
import zlib
from base64 import b64decode
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from reseen.data import pictures as module
from reseen.data.pictures import data_uri, encode_jpeg, header_size, read_picture
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
        (b"P6 99999999 99999999 255\n", "has more than 50,000,000 pixels"),
    ],
    ids=["empty", "words", "hollow JPEG", "hollow PNG", "a billion pixels"],
)
def test_what_is_no_picture_is_named(tmp_path, content, reason):
    path = tmp_path / "0007.jpg"
    path.write_bytes(content)
    with pytest.raises(ReseenError, match=rf"0007.jpg {reason}"):
        read_picture(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ReseenError, match=r"gone\.jpg does not exist"):
        read_picture(tmp_path / "gone.jpg")


# Sizes


def huge(suffix: str) -> bytes:
    """A picture's file that claims 20,000 x 20,000 pixels and holds 8 x 8."""
    content = bytearray(cv2.imencode(suffix, np.zeros((8, 8, 3), np.uint8))[1].tobytes())
    if suffix == ".png":
        content[16:24] = struct.pack(">II", 20_000, 20_000)
        content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    elif suffix == ".jpg":
        start = content.index(b"\xff\xc0")
        content[start + 5 : start + 9] = struct.pack(">HH", 20_000, 20_000)
    elif suffix == ".bmp":
        content[18:26] = struct.pack("<ii", 20_000, 20_000)
    elif suffix == ".ppm":
        content[:] = b"P6\n20000 20000\n255\n" + bytes(192)
    return bytes(content)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".ppm"])
def test_a_huge_picture_is_refused_by_its_header(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr(module, "_decoded", lambda _: pytest.fail("was decoded"))
    path = tmp_path / f"picture{suffix}"
    path.write_bytes(huge(suffix))
    with pytest.raises(ReseenError, match=rf"picture{suffix} has more than 50,000,000 pix"):
        read_picture(path)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".ppm", ".webp", ".tiff"])
def test_a_size_is_read_from_the_header(suffix):
    content = cv2.imencode(suffix, np.zeros((40, 30, 3), np.uint8))[1].tobytes()
    assert header_size(content) == (40, 30)


def test_a_size_is_found_behind_other_parts_of_a_jpeg():
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x010E] = "a description" * 100
    Image.new("RGB", (30, 40)).save(buffer, "JPEG", progressive=True, exif=exif)
    assert header_size(buffer.getvalue()) == (40, 30)


@pytest.mark.parametrize(
    "content", [b"", b"\x89PNG", b"\xff\xd8\xff\xe0\x00\x00", b"\xff\xd8", b"text"]
)
def test_what_has_no_header_has_no_size(content):
    assert header_size(content) is None


def test_a_jpeg_shows_what_was_encoded(colours):
    decoded = cv2.imdecode(np.frombuffer(encode_jpeg(colours, 95), np.uint8), cv2.IMREAD_COLOR_RGB)
    assert decoded[:, :8].reshape(-1, 3).mean(0) == pytest.approx([254, 0, 0], abs=3)


def test_a_picture_survives_its_address_with_red_still_red():
    picture = np.full((64, 48, 3), (200, 30, 30), np.uint8)
    kind, _, text = data_uri(encode_jpeg(picture, 84)).partition(",")
    assert kind == "data:image/jpeg;base64"
    decoded = cv2.imdecode(np.frombuffer(b64decode(text), np.uint8), cv2.IMREAD_COLOR_RGB)
    assert np.abs(decoded.astype(int) - picture).max() < 6


def test_an_address_tells_png_from_jpeg():
    assert data_uri(b"\x89PNG\r\n").startswith("data:image/png;")
