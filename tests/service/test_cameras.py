"""What a cameras.toml may say."""

import pytest

from reseen.errors import ReseenError
from reseen.gallery.gallery import Gallery
from reseen.service.cameras import Cameras

TWO = """
gallery = "people"
min_length = 5

[[camera]]
name = "hall"
source = "rtsp://eye:${HALL_PASSWORD}@10.0.0.7/live?profile=1"

[[camera]]
name = "door.2"
source = "/dev/video0"
fps = 12.5
"""


@pytest.fixture
def read(tmp_path, monkeypatch):
    monkeypatch.setenv("HALL_PASSWORD", "a/b@c:ü")

    def read(text: str | bytes) -> Cameras:
        file = tmp_path / "cameras.toml"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return Cameras.read(file)

    return read


def test_all_is_read_and_paths_begin_where_the_file_lies(read, tmp_path):
    found = read(TWO)
    assert found.gallery == str(tmp_path / "people")
    assert (found.min_length, found.detector, found.heads) == (5, None, False)
    assert [(each.name, each.fps) for each in found.each] == [("hall", 5.0), ("door.2", 12.5)]


def test_a_mark_that_says_utf_8_is_no_part_of_it(read):
    assert read("\ufeff" + TWO) == read(TWO)


def test_a_gallery_in_an_object_store_lies_in_no_folder(read):
    assert read(TWO.replace("people", "s3://bucket/people")).gallery == "s3://bucket/people"
    mistyped = read(TWO.replace("people", "s3:bucket/people")).gallery
    with pytest.raises(ReseenError, match="give a folder or s3://BUCKET/PREFIX"):
        Gallery.open(mistyped, create=True)


def test_a_password_comes_from_the_environment_as_an_address_wants_it(read):
    hall, door = read(TWO).each
    # RFC 3986: / @ : and what is not ASCII are percent-encoded within user information.
    assert hall.address == "rtsp://eye:a%2Fb%40c%3A%C3%BC@10.0.0.7/live?profile=1"
    assert door.address == "/dev/video0"
    assert "a/b" not in repr(hall)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "missing required field `gallery`"),
        ('gallery = "g"', "missing required field `camera`"),
        ('gallery = "g"\ncamera = []', "length >= 1"),
        (TWO.replace("source", "sorce", 1), r"'sorce' - at `\$\.camera\[0\]`.* mean 'source'\?"),
        (TWO.replace("min_length", "minlength"), r"'minlength'; did you mean 'min_length'\?"),
        (TWO.replace("[[camera]]", "[[cameras]]"), r"called 'cameras'; did you mean 'camera'\?"),
        (TWO.replace("fps", "rate"), r"'rate' - at `\$\.camera\[1\]`; there are name, source, fps"),
        (TWO.replace("door.2", "hall"), "2 cameras are called hall"),
        (TWO.replace("door.2", "../hall"), "cannot name a camera"),
        (TWO.replace("door.2", "x" * 101), "length <= 100"),
        (TWO.replace("12.5", "0"), "> 0"),
        (TWO.replace("12.5", '"many"'), "Expected `float`"),
        (TWO.replace("HALL_PASSWORD", "NOBODY_SET_IT"), "environment's NOBODY_SET_IT"),
        (TWO.replace("people", ""), r"length >= 1 - at `\$\.gallery`"),
        (TWO.replace("/dev/video0", ""), r"length >= 1 - at `\$\.camera\[1\]\.source`"),
        (TWO[:40], "is not TOML"),
        (b"\xff\xfe\x00", "cannot be read as text"),
    ],
)
def test_what_is_wrong_is_one_line_with_the_file(read, text, message):
    with pytest.raises(ReseenError, match=message) as told:
        read(text)
    assert "\n" not in str(told.value)
    assert "cameras.toml" in str(told.value) or "camera" in message or "environment" in message


def test_no_file_is_one_line(tmp_path):
    with pytest.raises(ReseenError, match="does not exist"):
        Cameras.read(tmp_path / "cameras.toml")
