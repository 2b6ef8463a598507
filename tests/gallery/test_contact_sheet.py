import numpy as np
import pytest

from reseen.data.pictures import read_picture
from reseen.gallery.contact_sheet import contact_sheet
from reseen.gallery.records import Entry, Match, Query
from reseen.gallery.thumbnail import make_thumbnail


def match(number, **facts):
    entry = Entry(f"north-{number:06d}", "Süd", 3.0 * number, None, "film", None, 9, 0.0, None)
    return Match(
        entry, **({"distance": 1.0, "beside": {"stripes": 0.5}, "probability": None} | facts)
    )


@pytest.fixture
def query():
    return Query("net", np.zeros(3, np.float32), "somebody with a very long name " * 4)


def test_every_match_has_a_row_with_its_pictures(tmp_path, query):
    gray = [np.full((96, 48, 3), 40 * number, np.uint8) for number in range(4)]
    strips = [make_thumbnail([picture], pixelate_heads=False) for picture in gray]
    matches = [match(1, probability=0.25), match(2), match(3, beside={})]
    thumbnails = {f"north-{number:06d}": strips[number] for number in (1, 3)}
    contact_sheet(query, strips[0], matches, thumbnails, tmp_path / "sheet.png")
    sheet = read_picture(tmp_path / "sheet.png")
    height = len(sheet)
    in_strips = sheet[:, sheet.shape[1] // 4].mean(axis=1)
    shown = [in_strips[round(place * height)] for place in (0.12, 0.37, 0.61, 0.86)]
    np.testing.assert_allclose(shown, [0, 40, 255, 120], atol=3)


def test_no_match_leaves_the_query_alone(tmp_path, query):
    contact_sheet(query, None, [], {}, tmp_path / "sheet.png")
    assert read_picture(tmp_path / "sheet.png").shape[0] > 100
